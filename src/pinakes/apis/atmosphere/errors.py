"""What went wrong, as Atmosphere's clients read it (atmosphere contract, section 7).

A 400 about members is an object of string lists, one key per member; everything else is `{"detail": ...}`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.core import errors
from pinakes.web.jsonbody import respond_json

HEADERS: Mapping[str, str] = {"Vary": "Authorization", "Cache-Control": "private, no-cache"}
"""Of every answer: it depends on who asks (contract C11)."""


class PageUnknown(errors.Unknown):
    """The list has no such page."""


class NotJson(errors.Invalid):
    """The body cannot be read as JSON."""


class NotAnObject(errors.Invalid):
    """The body is JSON, but no object. given: the name of the type it is."""

    def __init__(self, given: str) -> None:
        self.given = given
        super().__init__(f"Invalid data. Expected a dictionary, but got {given}.")


class MediaTypeUnsupported(errors.Invalid):
    """The body is of a type that is not read here."""

    def __init__(self, media_type: str) -> None:
        super().__init__(f'Unsupported media type "{media_type}" in request.')


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body, and headers beside those of every answer."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] | None = None


def detail(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, {"detail": text}, headers)


NO_CREDENTIALS = detail(403, "Authentication credentials were not provided.")
NO_PERMISSION = detail(403, "You do not have permission to perform this action.")
NOT_FOUND = detail(404, "Not found.")
_FAILED = detail(500, "Internal Server Error")


def _fields(error: errors.InvalidFields) -> Answer:
    return Answer(400, {field: [_sentence(reason) for reason in reasons] for field, reasons in error.problems.items()})


def _sentence(reason: str) -> str:
    """A reason of the core (`must be ...`) as a sentence; clients show it beside the member."""
    return reason if reason.endswith(".") else f"This field {reason}."


def _throttled(error: errors.TooManyAttempts) -> Answer:
    return detail(429, error.message, {"Retry-After": str(error.retry_after_seconds)})


ANSWERS: Mapping[type[Exception], Answer | Callable[[Any], Answer]] = {
    errors.InvalidFields: _fields,
    NotJson: lambda error: detail(400, f"JSON parse error - {error.message}"),
    NotAnObject: lambda error: Answer(400, {"non_field_errors": [error.message]}),
    MediaTypeUnsupported: lambda error: detail(415, error.message),
    errors.Invalid: lambda error: detail(400, error.message),
    errors.UploadBroken: lambda error: detail(400, error.message),
    errors.TagExists: Answer(400, {"name": ["A tag of that name already exists."]}),
    errors.NameTaken: Answer(400, {"name": ["This name is taken."]}),
    errors.AlreadyBookmarked: Answer(400, {"image": ["Image already bookmarked"]}),  # contract B1
    errors.Conflict: lambda error: detail(409, error.message),
    errors.Unauthenticated: NO_CREDENTIALS,
    errors.KindMissing: NO_CREDENTIALS,
    errors.TooManyAttempts: _throttled,
    errors.TooManyJobs: lambda error: detail(429, error.message),
    errors.Refused: NO_PERMISSION,
    PageUnknown: detail(404, "Invalid page."),
    errors.BlobUnknown: _FAILED,
    errors.Unknown: NOT_FOUND,
    errors.TooLarge: lambda error: detail(413, error.message),
    errors.StorageFull: detail(507, "Insufficient storage."),
    errors.Unavailable: detail(503, "Service unavailable."),
    Exception: _FAILED,
}


def answer_to(error: Exception) -> Answer:
    """The answer to anything raised, by the nearest ancestor in the table."""
    found = next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)
    return found if isinstance(found, Answer) else found(error)


def respond(answer: Answer) -> Response:
    return respond_json(answer.body, answer.status, {**HEADERS, **(answer.headers or {})})


def on_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the seam gives it
    return respond(answer_to(error))


def method_not_allowed(request: Request, allow: str) -> Response:
    return respond(detail(405, f'Method "{request.method}" not allowed.', {"Allow": allow}))
