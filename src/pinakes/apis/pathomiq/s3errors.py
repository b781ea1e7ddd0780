"""What went wrong with an upload, as S3's clients read it: XML with one of S3's codes (pathomiq contract 5.5)."""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response

from pinakes.core import errors
from pinakes.core.presigned.refusals import Code
from pinakes.web.paths import raw_path

MEDIA_TYPE: Final = "application/xml"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_TEXT = 512


class BucketUnknown(errors.Unknown):
    """The bucket does not exist here."""


class BodyTypeRefused(errors.Invalid):
    """The body must be multipart/form-data."""


class FieldsTooLarge(errors.Invalid):
    """The fields before the file are too many or too large."""


class FileMissing(errors.Invalid):
    """The form must hold a part named file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is to be written as XML. details: further members, by their names."""

    status: int
    code: str
    message: str
    details: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


_STATUSES: Mapping[str, int] = {
    Code.ACCESS_DENIED: 403,
    Code.INVALID_ACCESS_KEY: 403,
    Code.SIGNATURE_MISMATCH: 403,
    Code.OPERATION_ABORTED: 409,
    Code.NOT_IMPLEMENTED: 501,
    Code.SLOW_DOWN: 503,
}
"""The codes of refusals that are not a 400."""


def _refused(error: errors.UploadRefused) -> Fault:
    headers = {"Retry-After": "5"} if error.code == Code.SLOW_DOWN else {}
    return Fault(_STATUSES.get(error.code, 400), error.code, error.message, error.details, headers)


def _says(status: int, code: str, **details: str) -> Callable[[errors.PinakesError], Fault]:
    """The error's own message, with this status and code."""
    return lambda error: Fault(status, code, error.message, details)


_FAILED: Final = Fault(500, "InternalError", "Something went wrong in the archive.")
_NOT_NOW: Final = Fault(
    503,
    "ServiceUnavailable",
    "The archive cannot do this just now; try again later.",
    headers={"Retry-After": "5"},
)

FAULTS: Mapping[type[Exception], Fault | Callable[[Any], Fault]] = {
    BucketUnknown: _says(404, "NoSuchBucket"),
    BodyTypeRefused: _says(412, Code.PRECONDITION_FAILED, Condition="Content-Type: multipart/form-data"),
    FieldsTooLarge: _says(400, "MaxPostPreDataLengthExceeded"),
    FileMissing: _says(400, Code.INVALID_ARGUMENT, ArgumentName="file"),
    errors.UploadRefused: _refused,
    errors.UploadBroken: _says(400, "IncompleteBody"),
    errors.Invalid: _says(400, "MalformedPOSTRequest"),
    errors.TooLarge: lambda error: Fault(
        400, Code.ENTITY_TOO_LARGE, error.message, {"MaxSizeAllowed": str(error.limit_bytes)}
    ),
    errors.Refused: Fault(403, Code.ACCESS_DENIED, "Access Denied"),
    errors.BlobUnknown: _FAILED,
    errors.Unknown: Fault(403, Code.ACCESS_DENIED, "Access Denied"),
    errors.Conflict: _says(409, Code.OPERATION_ABORTED),
    errors.Unavailable: _NOT_NOW,
    Exception: _FAILED,
}


def fault_of(error: Exception) -> Fault:
    """The answer to anything raised, by the nearest ancestor in the table."""
    found = next(FAULTS[kind] for kind in type(error).__mro__ if kind in FAULTS)
    return found if isinstance(found, Fault) else found(error)


def on_error(request: Request, error: Exception) -> Response:
    return _respond(request, fault_of(error))


def method_not_allowed(request: Request, allow: str) -> Response:
    details = {"Method": request.method}
    fault = Fault(405, "MethodNotAllowed", "The method is not allowed here.", details, {"Allow": allow})
    return _respond(request, fault)


def document(root: str, members: Mapping[str, str]) -> bytes:
    """A small XML document: one element, and texts in it."""
    inner = "".join(f"<{name}>{_text(value)}</{name}>" for name, value in members.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{inner}</{root}>'.encode()


def _respond(request: Request, fault: Fault) -> Response:
    members = {
        "Code": fault.code,
        "Message": fault.message,
        **fault.details,
        "Resource": raw_path(request.scope).decode("ascii", "replace"),
        "RequestId": secrets.token_hex(8).upper(),
    }
    return Response(document("Error", members), fault.status, fault.headers, MEDIA_TYPE)


def _text(value: str) -> str:
    """A client's own words may be in it: at most so many, and only what XML can hold."""
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value[:_MOST_TEXT]))
