"""What went wrong, as viewers and people read it: a status and one line of plain text (Image API 3.0, section 7.3).

What may not be seen is a 404 like what is not there.
"""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pinakes.apis.iiif.parameters import UpscalingUnsupported
from pinakes.core import errors
from pinakes.core.errors import PinakesError
from pinakes.web.ranges import PreconditionFailed

_RETRY_SECONDS: Final = 5
_SECRETIVE: Final = 500
"""With this status nothing of the error itself is told."""


class PathUnknown(errors.Unknown):
    """There is nothing at this address."""


STATUSES: Final[Mapping[type[Exception], int]] = {
    errors.Invalid: 400,
    errors.UploadBroken: 400,
    errors.Unauthenticated: 401,
    errors.BadLogin: 401,
    errors.Refused: 403,
    errors.KindMissing: 404,  # who lacks the kind sees what anybody sees (DESIGN.md section 2)
    errors.Unknown: 404,
    errors.Conflict: 409,
    PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.TooManyAttempts: 429,
    errors.TooManyJobs: 429,
    errors.BlobUnknown: 500,
    UpscalingUnsupported: 501,
    errors.Unavailable: 503,
    Exception: 500,
}
"""The status of every error, by its nearest ancestor here."""


def on_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the seam gives it
    """The answer to anything raised."""
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    text = "Something went wrong in the archive."
    if status != _SECRETIVE and isinstance(error, PinakesError):
        text = errors.ImageUnknown().message if isinstance(error, errors.KindMissing) else error.message
    return _say(text, status, _headers(error, status))


def method_not_allowed(request: Request, allow: str) -> Response:  # noqa: ARG001 - the seam gives it
    return _say("Pictures can only be looked at here.", 405, {"Allow": allow})


def _say(text: str, status: int, headers: Mapping[str, str]) -> Response:
    return PlainTextResponse(text + "\n", status, {"Cache-Control": "no-store", **headers})


def _headers(error: Exception, status: int) -> dict[str, str]:
    if isinstance(error, errors.TooManyAttempts):
        return {"Retry-After": str(error.retry_after_seconds)}
    match status:
        case 401:
            return {"WWW-Authenticate": "Bearer"}
        case 429 | 503:
            return {"Retry-After": str(_RETRY_SECONDS)}
        case _:
            return {}
