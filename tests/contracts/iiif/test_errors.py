"""Every error of the core has an answer in plain text; none tells more than its own message."""

from collections.abc import Iterator

import pytest
from starlette.requests import Request

from pinakes.apis.iiif.errors import on_error
from pinakes.apis.iiif.parameters import ParameterInvalid
from pinakes.core import errors
from pinakes.core.errors import PinakesError

OWN = {errors.__name__, on_error.__module__, ParameterInvalid.__module__}
REQUEST = Request({"type": "http", "method": "GET", "path": "/", "headers": []})


def _tree(kind: type[PinakesError]) -> Iterator[type[PinakesError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def _made(kind: type[PinakesError]) -> PinakesError:
    match kind:
        case errors.InvalidFields:
            return errors.InvalidFields.one("seconds", "must be positive")
        case errors.TooManyAttempts:
            return errors.TooManyAttempts(7)
        case errors.TooLarge:
            return errors.TooLarge(5)
        case errors.NameTaken | errors.FormatUnsupported | errors.ArrivalRefused | errors.BlobUnknown:
            return kind("something")
        case _:
            return kind()


@pytest.mark.parametrize("kind", [kind for kind in _tree(PinakesError) if kind.__module__ in OWN])
def test_every_error_of_the_core_has_an_answer(kind: type[PinakesError]) -> None:
    answer = on_error(REQUEST, _made(kind))
    assert 400 <= answer.status_code <= 503
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    is_fault = answer.status_code == 500
    assert is_fault == (kind in {PinakesError, errors.BlobUnknown})


def test_an_unforeseen_error_tells_nothing() -> None:
    answer = on_error(REQUEST, RuntimeError("SELECT name FROM patients"))
    assert answer.status_code == 500
    assert bytes(answer.body) == b"Something went wrong in the archive.\n"


def test_who_lacks_the_kind_is_answered_like_for_what_is_not_there() -> None:
    lacking, unknown = on_error(REQUEST, errors.KindMissing()), on_error(REQUEST, errors.ImageUnknown())
    assert (lacking.status_code, lacking.body) == (unknown.status_code, unknown.body)


def test_a_bad_token_is_told_how_to_do_better() -> None:
    assert on_error(REQUEST, errors.Unauthenticated()).headers["www-authenticate"] == "Bearer"
    assert on_error(REQUEST, errors.DecodingUnavailable()).headers["retry-after"] == "5"
