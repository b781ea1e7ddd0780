"""What went wrong, as problem details (RFC 9457).

    {"type": "https://archive.example/pinakes/v1/problems/invalid-fields", "title": "One or more fields are not valid.",
     "status": 400, "detail": "name: is required", "errors": {"name": ["is required"]}}

`type` can be fetched: it tells the title and the status. `errors` is there where single fields are wrong.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.core import errors
from pinakes.core.errors import PinakesError
from pinakes.web import ranges
from pinakes.web.jsonbody import respond_json
from pinakes.web.origin import Origins

MEDIA_TYPE = "application/problem+json"

NOT_KEPT: Mapping[str, str] = {"Cache-Control": "no-store"}
"""For what depends on who asks: of an answer to a cookie, caches would not know that by themselves."""

_RETRY_SECONDS = 5


class BodyUnsupported(errors.Invalid):
    """The body is not of a media type that is taken here."""


class PathUnknown(errors.Unknown):
    """There is nothing at this path."""


class ProblemUnknown(errors.Unknown):
    """There is no such type of problem."""


class MethodUnsupported(PinakesError):
    """This cannot be done to what is at this path."""


class NotAcceptable(PinakesError):
    """A picture is shown as JPEG, WebP, AVIF or PNG; the Accept header takes none of them."""


STATUSES: Mapping[type[Exception], int] = {
    errors.Invalid: 400,
    errors.UploadBroken: 400,
    errors.FormatUnsupported: 415,
    BodyUnsupported: 415,
    errors.Unknown: 404,
    errors.BlobUnknown: 500,
    errors.Conflict: 409,
    errors.Refused: 403,
    errors.Unauthenticated: 401,
    errors.BadLogin: 401,
    errors.TooManyAttempts: 429,
    errors.TooManyJobs: 429,
    errors.TooLarge: 413,
    errors.Unavailable: 503,
    errors.StorageFull: 507,
    MethodUnsupported: 405,
    NotAcceptable: 406,
    ranges.PreconditionFailed: 412,
    ranges.RangeUnsatisfiable: 416,
    Exception: 500,
}
"""The status of every error, by its nearest ancestor here."""

_FIELDS = {"min_mem_mb": "min_mem"}
"""Where a member has another name here than in the core."""

_SECRETIVE = 500
"""With this status nothing of the error itself is told."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A type of problem: one class of error. name: the end of its address."""

    name: str
    title: str
    status: int

    @classmethod
    def of(cls, kind: type[Exception]) -> "Problem":
        status = next(STATUSES[ancestor] for ancestor in kind.__mro__ if ancestor in STATUSES)
        if status == _SECRETIVE:
            return cls("internal-error", "Something went wrong here.", status)
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
        return cls(name, (kind.__doc__ or "").strip().partition("\n")[0], status)


@dataclass(frozen=True, slots=True)
class Problems:
    """Answers with problems in them. origins: for the addresses of their types."""

    origins: Origins

    def on_error(self, request: Request, error: Exception) -> Response:
        """The answer to anything raised."""
        problem = Problem.of(type(error))
        body = self.described(request, problem)
        if problem.status != _SECRETIVE and isinstance(error, PinakesError):
            body["detail"] = error.message
        if isinstance(error, errors.InvalidFields):
            body["errors"] = {_FIELDS.get(name, name): reasons for name, reasons in error.problems.items()}
        headers = {**NOT_KEPT, **_headers(error, problem.status)}
        return respond_json(body, problem.status, headers, media_type=MEDIA_TYPE)

    def method_not_allowed(self, request: Request, allow: str) -> Response:
        answer = self.on_error(request, MethodUnsupported())
        answer.headers["Allow"] = allow
        return answer

    def described(self, request: Request, problem: Problem) -> dict[str, Any]:
        """The members that every problem of the type has."""
        base = self.origins.base_url(request.scope)
        return {"type": f"{base}/problems/{problem.name}", "title": problem.title, "status": problem.status}


def known_problems() -> Mapping[str, Problem]:
    """Every type of problem, by its name."""
    told = {errors.__name__, ranges.__name__, __name__}
    own = (kind for kind in _tree(PinakesError) if kind.__module__ in told)
    return {problem.name: problem for problem in map(Problem.of, own)}


def _tree(kind: type[PinakesError]) -> Iterator[type[PinakesError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def _headers(error: Exception, status: int) -> dict[str, str]:
    if isinstance(error, errors.TooManyAttempts):
        return {"Retry-After": str(error.retry_after_seconds)}
    if isinstance(error, ranges.RangeUnsatisfiable):
        return {"Content-Range": error.content_range}
    match status:
        case 401:
            return {"WWW-Authenticate": "Bearer"}
        case 429 | 503:
            return {"Retry-After": str(_RETRY_SECONDS)}
        case _:
            return {}
