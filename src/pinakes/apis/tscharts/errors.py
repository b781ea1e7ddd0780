"""Which answer each error of the core becomes.

Looked up along the class's ancestors. The body is always {"detail": "<reason>"} (contract G11); 403 is for login alone
(G10).
"""

from starlette.requests import Request
from starlette.responses import Response

from pinakes.core import errors
from pinakes.core.errors import PinakesError, TooManyAttempts
from pinakes.web.jsonbody import respond_json

INTERNAL_ERROR = "Internal Server Error"

STATUSES: dict[type[PinakesError], int] = {
    errors.PinakesError: 500,
    errors.Invalid: 400,
    errors.Unknown: 404,
    errors.BlobUnknown: 500,  # I-G3: the catalogue promises bytes that the store does not have
    errors.Conflict: 409,
    errors.Refused: 401,  # the kind or the scope is missing (G17)
    errors.BadLogin: 403,
    errors.TooManyAttempts: 429,
    errors.NotAllowed: 404,
    errors.TooLarge: 413,
    errors.UploadBroken: 400,
    errors.Unavailable: 503,
    errors.StorageFull: 507,
}


def status_of(error: Exception) -> int:
    """The status for an error, 500 for what is no error of the core."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def answer(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """The answer to an error."""
    status = status_of(error)
    detail = error.message if isinstance(error, PinakesError) and status != 500 else INTERNAL_ERROR
    return respond_json({"detail": detail}, status, _headers(error, status))


def _headers(error: Exception, status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Token"}  # A2
    if isinstance(error, TooManyAttempts):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {}
