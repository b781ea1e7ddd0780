"""Every error of the core has an answer in this API's shape (djinn contract 1.3; DESIGN.md rule 5)."""

import json
from typing import Any

import pytest

from pinakes.apis.djinn import errors as answers
from pinakes.core import errors

ARGUMENTS: dict[type[errors.PinakesError], tuple[Any, ...]] = {
    errors.InvalidFields: ({"name": ("is odd",)},),
    errors.FormatUnsupported: ("QCOW2",),
    errors.BlobUnknown: ("0123456789abcdef",),
    errors.NameTaken: ("alpine",),
    errors.TooManyAttempts: (30,),
    errors.TooLarge: (1024,),
    errors.ArrivalRefused: ("EntityTooLarge",),
    answers.BodyTooLarge: (1024,),
}
STATUSES = {
    errors.Invalid: 400,
    errors.UploadBroken: 400,
    errors.NameTaken: 400,
    errors.SelfInvite: 400,
    errors.InviteExists: 400,
    errors.AlreadyCollaborator: 400,
    errors.UserUnknown: 400,
    errors.Conflict: 409,
    errors.BlobUnknown: 500,
    errors.Unknown: 404,
    errors.TooManyJobs: 429,
    errors.Refused: 404,
    errors.TooLarge: 413,
    errors.StorageFull: 507,
    errors.Unavailable: 503,
    errors.PinakesError: 500,
}


def tree(root: type[errors.PinakesError] = errors.PinakesError) -> list[type[errors.PinakesError]]:
    below = [error for child in root.__subclasses__() for error in tree(child)]
    return [root, *(error for error in below if error.__module__ in {errors.__name__, answers.__name__})]


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_error_has_an_answer(kind: type[errors.PinakesError]) -> None:
    error = kind(*ARGUMENTS.get(kind, ()))
    response = answers.respond(answers.answer_to(error))
    assert response.status_code == next(STATUSES[base] for base in kind.__mro__ if base in STATUSES)
    body = json.loads(bytes(response.body))
    if response.status_code in {400, 413}:
        assert body
        assert all(texts and all(isinstance(text, str) for text in texts) for texts in body.values())
    else:
        assert list(body) == ["message"]
        assert body["message"]
    assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("kind", tree(errors.Unknown) + tree(errors.Refused), ids=lambda kind: kind.__name__)
def test_a_refusal_does_not_say_why(kind: type[errors.PinakesError]) -> None:
    if kind in {errors.BlobUnknown, errors.UserUnknown, errors.TooManyJobs}:
        return  # the archive's own fault; what an invite may tell; and what is about the caller alone
    answer = answers.answer_to(kind(*ARGUMENTS.get(kind, ())))
    assert (answer.status, answer.body) == (404, {"message": "Not Found"})


def test_what_nobody_expected_tells_nothing() -> None:
    answer = answers.answer_to(ValueError("SELECT secret FROM /var/lib"))
    assert (answer.status, answer.body) == (500, {"message": "Internal Server Error"})
