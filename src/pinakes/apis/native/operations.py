"""One operation of the API: what FastAPI makes of a handler's signature, in the manners of `web.resource`.

FastAPI reads parameters and bodies by their types, and writes the OpenAPI document from the same. Routing, HEAD,
OPTIONS, errors, how a body comes in (`bodies`) and what becomes of one nobody wanted are the house's own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native.auth import Callers
from pinakes.apis.native.bodies import MOST_OPEN_BYTES, JsonRequest
from pinakes.apis.native.errors import MEDIA_TYPE, NOT_KEPT
from pinakes.apis.native.models.values import Listed, Shown
from pinakes.core.errors import InvalidFields, Unknown
from pinakes.web.bridge import Bridge
from pinakes.web.resource import Handler

_PROBLEM: Mapping[str, Any] = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}}
_REASONS = {
    400: "What was sent is not valid; nothing was changed.",
    401: "A valid token is needed.",
    403: "The user lacks the kind of image, the token the scope, or it is not theirs to change.",
    404: "There is no such thing, or it may not be seen.",
    406: "It is not made in any media type that is accepted.",
    409: "It contradicts what is there.",
    412: "A condition of the request does not hold.",
    413: "More bytes than can be taken.",
    415: "The body is not of a media type or format that is taken here.",
    416: "Nothing of the content lies in the range.",
    429: "Too many; wait, or let some end.",
    503: "The archive cannot do this just now.",
    507: "The storage is full.",
}

_STACKS = ("fastapi_middleware_astack", "fastapi_inner_astack", "fastapi_function_astack")
_MOST_PROBLEMS = 50
_LONGEST_NAME = 100

Endpoint = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    endpoint: its signature tells the parameters, its docstring what it does.   subject: the tag in the document.
    status: of success.   errors: statuses beside those that any operation can have.
    is_open: whether the body of a stranger is read, if it is short; else a user's only.
    answers, extra: further parts of the document, as FastAPI takes them, for what no signature tells.
    """

    method: str
    path: str
    endpoint: Endpoint
    subject: str
    status: int = 200
    errors: tuple[int, ...] = ()
    answers: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    is_open: bool = False


Added = Sequence[tuple[Operation, APIRoute]]
"""Operations with what FastAPI made of them."""


def binary_body(*media_types: str, parameters: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """For `Operation.extra`: a body of bytes, and further parameters."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}
    return {"requestBody": {"required": True, "content": content}, "parameters": list(parameters)}


def binary_answer(description: str, *media_types: str) -> dict[str, Any]:
    """For `Operation.answers`."""
    names = media_types or ("application/octet-stream",)
    content = {name: {"schema": {"type": "string", "format": "binary"}} for name in names}
    return {"description": description, "content": content}


def add(api: FastAPI, operations: Sequence[Operation], bridge: Bridge) -> Added:
    """Declare operations to FastAPI."""
    for operation in operations:
        summary, _, _ = (operation.endpoint.__doc__ or "").strip().partition("\n")
        api.add_api_route(
            operation.path,
            _rendering(operation, bridge),
            methods=[operation.method],
            status_code=operation.status,
            tags=[operation.subject],
            summary=summary.rstrip("."),
            operation_id=f"{operation.subject}-{operation.endpoint.__name__}".replace("_", "-"),
            responses={**_problems(operation), **{code: dict(told) for code, told in operation.answers.items()}},
            openapi_extra=dict(operation.extra) or None,
        )
    routes = [route for route in api.routes if isinstance(route, APIRoute)]
    for route in routes:
        if route.body_field is not None:
            route.responses.update({code: {"description": _REASONS[code], **_PROBLEM} for code in (413, 415)})
    return list(zip(operations, routes, strict=True))


def _rendering(operation: Operation, bridge: Bridge) -> Endpoint:
    """The endpoint, with the answer made of what it returns. Its signature stays, for FastAPI to read."""

    @wraps(operation.endpoint)
    async def respond(**parameters: Any) -> Response:
        shown = await operation.endpoint(**parameters)
        if isinstance(shown, Response):
            return shown
        assert isinstance(shown, Shown)
        is_long = isinstance(shown, Listed)
        text = await bridge.thread(shown.model_dump_json) if is_long else shown.model_dump_json()
        return Response(text, operation.status, NOT_KEPT, media_type="application/json")

    return respond


def _problems(operation: Operation) -> dict[int | str, dict[str, Any]]:
    codes = {400, 401, 403, 503, *operation.errors}
    if "{" in operation.path:
        codes.add(404)
    return {code: {"description": _REASONS[code], **_PROBLEM} for code in sorted(codes)}


def handler_of(operation: Operation, route: APIRoute, callers: Callers, bridge: Bridge, max_json_bytes: int) -> Handler:
    """The handler of one operation. A body is read up to max_json_bytes, and only for a user, unless it is open.

    It raises the core's errors: Unknown for a path that names nothing, InvalidFields for parameters and members.
    """
    handle = route.get_route_handler()
    max_bytes = min(MOST_OPEN_BYTES, max_json_bytes) if operation.is_open else max_json_bytes

    async def handler(request: Request) -> Response:
        if route.body_field is not None:
            if not operation.is_open:
                await callers.user(request)
            request = await JsonRequest.of(request, bridge, max_bytes)
        async with AsyncExitStack() as stack:
            # Where FastAPI's own middleware would put them: what dependencies and bodies leave to be closed.
            request.scope.update(dict.fromkeys(_STACKS, stack))
            try:
                return await handle(request)
            except RequestValidationError as exc:
                raise meaning(exc) from None

    return handler


def meaning(error: RequestValidationError) -> Unknown | InvalidFields:
    """What the core calls it: an id that is none names nothing; everything else is told, field by field."""
    problems: dict[str, list[str]] = {}
    for detail in error.errors()[:_MOST_PROBLEMS]:
        where, *path = detail["loc"]
        if where == "path":
            return Unknown()
        name = ".".join(str(part)[:_LONGEST_NAME] for part in path) or "body"
        reason = detail["msg"].removeprefix("Value error, ")
        problems.setdefault(name, []).append(reason[:1].lower() + reason[1:])
    return InvalidFields(problems)
