"""Every error of the core has an answer of this API's shape (contract G10, G11)."""

import inspect
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from starlette.requests import Request

from pinakes.apis.tscharts import errors as answers
from pinakes.core import errors
from pinakes.core.errors import PinakesError

SAMPLES: dict[Any, Any] = {str: "x", int: 7, float: 0.5}
REQUEST = Request({"type": "http", "method": "GET", "headers": []})


def tree(root: type[PinakesError] = PinakesError) -> Iterator[type[PinakesError]]:
    """The errors of the core and of this API: others are another's, loaded by another's tests."""
    if root.__module__ in {errors.__name__, answers.__name__}:
        yield root
    for child in root.__subclasses__():
        yield from tree(child)


def sample(kind: type[PinakesError]) -> PinakesError:
    """An error with some value for each fact it must be given."""
    parameters = inspect.signature(kind).parameters.values()
    facts: dict[str, Any] = {
        parameter.name: {"field": ["reason"]} if parameter.name == "problems" else SAMPLES[parameter.annotation]
        for parameter in parameters
        if parameter.default is inspect.Parameter.empty
    }
    return kind(**facts)


@pytest.mark.parametrize("kind", sorted(set(tree()), key=str))
def test_every_error_becomes_an_object_with_a_detail(kind: type[PinakesError]) -> None:
    answer = answers.answer(REQUEST, sample(kind))
    body = msgspec.json.decode(bytes(answer.body))
    assert list(body) == ["detail"]
    assert body["detail"]
    assert answer.media_type == "application/json"
    assert (answer.headers.get("www-authenticate") == "Token") is (answer.status_code == 401)


@pytest.mark.parametrize("kind", sorted(set(tree(errors.Refused)), key=str))
def test_403_is_for_login_alone(kind: type[PinakesError]) -> None:
    assert (answers.status_of(sample(kind)) == 403) is (kind is errors.BadLogin)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.InvalidFields, 400),
        (errors.ContentMissing, 400),
        (errors.UploadBroken, 400),
        (errors.KindMissing, 401),
        (errors.ScopeMissing, 401),
        (errors.PatientUnknown, 404),
        (errors.BlobUnknown, 500),
        (errors.AlreadyRegistered, 409),
        (errors.TooLarge, 413),
        (errors.DatabaseUnavailable, 503),
        (errors.StorageFull, 507),
    ],
)
def test_the_statuses(kind: type[PinakesError], status: int) -> None:
    assert answers.status_of(sample(kind)) == status


def test_too_many_attempts_tell_when_to_try_again() -> None:
    answer = answers.answer(REQUEST, errors.TooManyAttempts(42))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "42")


def test_what_went_wrong_inside_is_not_told() -> None:
    for error in (RuntimeError("SELECT secret FROM /var"), errors.BlobUnknown("0123456789abcdef")):
        answer = answers.answer(REQUEST, error)
        assert (answer.status_code, bytes(answer.body)) == (500, b'{"detail":"Internal Server Error"}')
