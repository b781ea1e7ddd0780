"""Every error of the core has an answer in this API's shape (pathomiq contract D2; DESIGN.md rule 5)."""

import json
from typing import Any

import pytest
from starlette.requests import Request

from pinakes.apis.pathomiq import errors as answers
from pinakes.apis.pathomiq import s3errors
from pinakes.core import errors

ARGUMENTS: dict[type[errors.PinakesError], tuple[Any, ...]] = {
    errors.InvalidFields: ({"name": ("is odd",)},),
    errors.FormatUnsupported: ("TIFF",),
    errors.BlobUnknown: ("0123456789abcdef",),
    errors.NameTaken: ("alpine",),
    errors.TooManyAttempts: (30,),
    errors.TooLarge: (1024,),
    errors.ArrivalRefused: ("EntityTooLarge",),
    answers.StateRefused: ("Not now.", {"id": 5}),
}
STATUSES = {
    answers.BodyTypeUnsupported: 415,
    errors.Invalid: 400,
    errors.UploadBroken: 400,
    errors.Conflict: 409,
    errors.BlobUnknown: 500,
    errors.Unknown: 404,
    errors.Unauthenticated: 401,
    errors.KindMissing: 401,
    errors.BadLogin: 401,
    errors.TooManyAttempts: 429,
    errors.TooManyJobs: 429,
    errors.Refused: 403,
    errors.TooLarge: 413,
    errors.Unavailable: 503,
    errors.PinakesError: 500,
}


def tree(root: type[errors.PinakesError] = errors.PinakesError) -> list[type[errors.PinakesError]]:
    below = [error for child in root.__subclasses__() for error in tree(child)]
    return [root, *(error for error in below if error.__module__ in {errors.__name__, answers.__name__})]


def request(method: str) -> Request:
    return Request({"type": "http", "method": method, "headers": [], "path": "/", "query_string": b""})


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_error_has_an_answer(kind: type[errors.PinakesError]) -> None:
    error = kind(*ARGUMENTS.get(kind, ()))
    response = answers.on_error(request("POST"), error)
    status = next(STATUSES[base] for base in kind.__mro__ if base in STATUSES)
    assert response.status_code == status
    body = json.loads(bytes(response.body))
    assert body.pop("success") is False
    assert body.pop("status")
    assert body == ({"image": {"id": 5}} if kind is answers.StateRefused else {})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert ("retry-after" in response.headers) == (status == 503 or kind is errors.TooManyAttempts)


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_4_5_a_post_of_a_log_entry_has_the_text_twice(kind: type[errors.PinakesError]) -> None:
    error = kind(*ARGUMENTS.get(kind, ()))
    body = json.loads(bytes(answers.on_log_error(request("POST"), error).body))
    assert body["msg"] == body["status"]
    assert "msg" not in json.loads(bytes(answers.on_log_error(request("GET"), error).body))


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_5_5_every_error_has_a_code_of_s3s(kind: type[errors.PinakesError]) -> None:
    fault = s3errors.fault_of(kind(*ARGUMENTS.get(kind, ())))
    assert fault.code.isalnum()
    assert fault.message
    is_machinery = issubclass(kind, errors.Unavailable | errors.BlobUnknown) or kind is errors.PinakesError
    assert (fault.status >= 500) == is_machinery


def test_what_nobody_expected_tells_nothing() -> None:
    response = answers.on_error(request("GET"), ValueError("SELECT secret FROM /var/lib"))
    assert response.status_code == 500
    assert b"secret" not in bytes(response.body)
