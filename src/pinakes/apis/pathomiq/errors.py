"""What went wrong, as PathomIQ's clients read it: `{"success": false, "status": text}` (pathomiq contract 1, D2).

POST /LogInfo says the text once more as `msg`. What is refused because of the state of an image that the caller sees
brings the image along. What may not be seen is a 404 like what is not there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.core import errors
from pinakes.web.jsonbody import respond_json
from pinakes.web.ranges import PreconditionFailed, RangeUnsatisfiable

NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}
"""Of every JSON answer: several GETs change something, and must reach the server each time."""


class BodyTypeUnsupported(errors.Invalid):
    """The body must be sent as application/json."""


class StateRefused(errors.WrongState):
    """An image that the caller sees is not in the state for this; carries it as the caller reads it."""

    def __init__(self, message: str, image: Mapping[str, Any]) -> None:
        self.image = image
        super().__init__(message)


class PathUnknown(errors.Unknown):
    """There is nothing at this address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a text, and what stands beside them."""

    status: int
    text: str
    headers: Mapping[str, str] | None = None
    more: Mapping[str, Any] | None = None


def _says(status: int, headers: Mapping[str, str] | None = None) -> Callable[[errors.PinakesError], Answer]:
    """The error's own message, with this status."""
    return lambda error: Answer(status, error.message, headers)


_NO_TOKEN = Answer(401, "A valid token is needed.", {"WWW-Authenticate": "Bearer"})
_FAILED = Answer(500, "Something went wrong in the archive.")

ANSWERS: Mapping[type[Exception], Answer | Callable[[Any], Answer]] = {
    BodyTypeUnsupported: _says(415),
    errors.Invalid: _says(400),
    errors.UploadBroken: _says(400),
    StateRefused: lambda error: Answer(409, error.message, more={"image": error.image}),
    errors.Conflict: _says(409),
    errors.Unauthenticated: _NO_TOKEN,
    errors.KindMissing: _NO_TOKEN,  # DESIGN.md section 2: a token of a user who has nothing to do with slides is none
    errors.BadLogin: _NO_TOKEN,
    PreconditionFailed: _says(412),
    RangeUnsatisfiable: lambda error: Answer(416, error.message, {"Content-Range": error.content_range}),
    errors.TooManyAttempts: lambda error: Answer(429, error.message, {"Retry-After": str(error.retry_after_seconds)}),
    errors.TooManyJobs: _says(429),
    errors.Refused: _says(403),
    errors.BlobUnknown: _FAILED,
    errors.Unknown: _says(404),
    errors.TooLarge: _says(413),
    errors.Unavailable: Answer(503, "The archive cannot do this just now; try again later.", {"Retry-After": "5"}),
    Exception: _FAILED,
}


def answer_to(error: Exception) -> Answer:
    """The answer to anything raised, by the nearest ancestor in the table."""
    found = next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)
    return found if isinstance(found, Answer) else found(error)


def respond(answer: Answer, more: Mapping[str, Any] | None = None) -> Response:
    body = {"success": False, "status": answer.text, **(answer.more or {}), **(more or {})}
    return respond_json(body, answer.status, {**NO_STORE, **(answer.headers or {})})


def on_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the seam gives it
    return respond(answer_to(error))


def on_log_error(request: Request, error: Exception) -> Response:
    """The same at /LogInfo, whose POST has the text as `msg` too (contract 4.5)."""
    answer = answer_to(error)
    return respond(answer, {"msg": answer.text} if request.method == "POST" else None)


def method_not_allowed(request: Request, allow: str) -> Response:  # noqa: ARG001 - the seam gives it
    return respond(Answer(405, "This method is not allowed here.", {"Allow": allow}))
