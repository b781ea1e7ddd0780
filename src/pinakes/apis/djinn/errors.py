"""What went wrong, as Djinn CI's clients read it (djinn contract 1.3, 2.4, 5.7, section 6).

A 400 is always an object of string lists, one key per parameter: clients decode every 400 as that. Everything else is
`{"message": ...}`. Whatever may not be seen or done is a 404 that tells nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from pinakes.core import errors
from pinakes.core.catalogue.machines import NameReason
from pinakes.core.namespaces.namespaces import NamespaceReason
from pinakes.core.namespaces.places import PlaceReason
from pinakes.web.jsonbody import respond_json
from pinakes.web.ranges import PreconditionFailed, RangeUnsatisfiable

MEDIA_TYPE = "application/json; charset=utf-8"

E = TypeVar("E", bound=Exception)

REQUIRED = NameReason.MISSING

_TEXTS: Mapping[str, str] = {
    NameReason.MISSING: "field required",
    NamespaceReason.CHARACTERS: "can only have letters, and numbers",
    NamespaceReason.LENGTH: "must be between 3 and 32 characters in length",
    PlaceReason.CLOSED: "permission denied",
}
"""Where the contract fixes a text; other reasons go out in the core's words, after the name of the parameter."""

_TITLES = {"download_url": "Download URL"}


class BodyTooLarge(errors.TooLarge):
    """The JSON body is larger than what is taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body, and headers beside those of every answer."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] | None = None


def message(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, {"message": text}, headers)


def problem(key: str, text: str, status: int = 400) -> Answer:
    return Answer(status, {key: [text]})


NOT_FOUND = message(404, "Not Found")
_NO_TOKEN = message(404, "Not Found", {"WWW-Authenticate": "Bearer"})
_FAILED = message(500, "Internal Server Error")


def _fields(error: errors.InvalidFields) -> Answer:
    return Answer(400, {field: texts(field, reasons) for field, reasons in error.problems.items()})


def _out_of_range(content_range: str) -> Answer:
    return message(416, "Requested Range Not Satisfiable", {"Content-Range": content_range})


def texts(field: str, reasons: Sequence[str]) -> list[str]:
    """Reasons of the core as the client reads them, with the parameter's name in front."""
    title = _TITLES.get(field, field.replace("_", " ").capitalize())
    return [f"{title} {_TEXTS.get(reason, reason)}" for reason in reasons]


ANSWERS: Mapping[type[Exception], Answer | Callable[[Any], Answer]] = {
    errors.InvalidFields: _fields,
    errors.ContentMissing: problem("file", "File field required"),
    errors.FormatUnsupported: problem("file", "File not a valid QCOW2 file format"),
    errors.ScopeInvalid: lambda error: problem("scope", error.message),
    errors.Invalid: lambda error: problem("body", error.message),
    errors.UploadBroken: problem("body", "The body ended early or was malformed"),
    errors.NameTaken: problem("name", "Name already exists"),
    errors.UserUnknown: problem("handle", "No such user"),
    errors.SelfInvite: problem("handle", "Cannot invite self"),
    errors.InviteExists: problem("handle", "Invite already sent"),
    errors.AlreadyCollaborator: problem("handle", "Already a collaborator"),
    errors.Conflict: lambda error: message(409, error.message),
    errors.Unauthenticated: _NO_TOKEN,
    PreconditionFailed: message(412, "Precondition Failed"),
    RangeUnsatisfiable: lambda error: _out_of_range(error.content_range),
    errors.TooManyJobs: lambda error: message(429, error.message),
    errors.Refused: NOT_FOUND,
    errors.BlobUnknown: _FAILED,
    errors.Unknown: NOT_FOUND,
    BodyTooLarge: lambda error: problem("body", error.message, 413),
    errors.TooLarge: lambda error: problem("file", error.message, 413),
    errors.StorageFull: message(507, "Insufficient Storage"),
    errors.Unavailable: message(503, "Service Unavailable"),
    Exception: _FAILED,
}


def answer_to(error: Exception) -> Answer:
    """The answer to anything raised, by the nearest ancestor in the table."""
    found = next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)
    return found if isinstance(found, Answer) else found(error)


def respond(answer: Answer) -> Response:
    return respond_json(answer.body, answer.status, answer.headers, media_type=MEDIA_TYPE)


def on_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the seam gives it
    return respond(answer_to(error))


def method_not_allowed(request: Request, allow: str) -> Response:  # noqa: ARG001 - the seam gives it
    return respond(message(405, "Method Not Allowed", {"Allow": allow}))
