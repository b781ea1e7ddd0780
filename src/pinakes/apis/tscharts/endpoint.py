"""From a plain function to a URL: who asks is settled first, then the body is read, then the function called.

    READ     a little is looked up: in the event loop where the database allows it
    SEARCH   a list, or the content of images: in a thread
    CHANGE   a JSON object is read, then the function called in a thread
    DELETE   in a thread; a body is ignored (contract G7)

READ, SEARCH and DELETE look the token up and call the function in one go, on one connection.
"""

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinakes.apis.tscharts import errors
from pinakes.apis.tscharts.auth import authenticate
from pinakes.apis.tscharts.fields import Members, Parameters
from pinakes.core.actor import Actor, Permission
from pinakes.core.clinic.guard import require
from pinakes.core.errors import TooLarge
from pinakes.web.api import ApiContext
from pinakes.web.jsonbody import decode_object, respond_json
from pinakes.web.paging import parse_id
from pinakes.web.resource import Resource
from pinakes.web.transfer import content_length, read_body

NOBODYS_ID = 0
"""Stands for what cannot be an id: nothing has it, so it is answered like any unknown one (contract G4)."""

_BODY_BYTES = 1024 * 1024
_PERMISSIONS = {"GET": Permission.READ, "POST": Permission.WRITE, "PUT": Permission.WRITE, "DELETE": Permission.DELETE}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of an authenticated caller. id: from the path, NOBODYS_ID for what is no id."""

    request: Request
    actor: Actor
    id: int
    parameters: Parameters
    members: Members


class Way(enum.Enum):
    """How a function is called."""

    READ = "read"
    SEARCH = "search"
    CHANGE = "change"
    DELETE = "delete"


Function = Callable[[Asked], Any]
Handler = Callable[[Request], Awaitable[Response]]
Called = tuple[Way, Function]
Method = Called | Handler | None


def read(function: Function) -> Called:
    return Way.READ, function


def search(function: Function) -> Called:
    return Way.SEARCH, function


def change(function: Function) -> Called:
    return Way.CHANGE, function


def delete(function: Function) -> Called:
    return Way.DELETE, function


class Endpoints:
    """Makes the API's URLs."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._archive = context.archive
        self._bridge = context.bridge

    def url(self, path: str, *, is_open: bool = False, **methods: Method) -> Route:
        """One URL.

        methods: in the order in which `Allow` names them; None for one that `Allow` names and this URL refuses all
        the same, for the collection and the items of a resource have one `Allow` (contract G12).
        is_open: nobody has to say who they are.
        """
        allow = ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])
        headers = {"Allow": allow, "Vary": "Accept"}

        def on_error(request: Request, error: Exception) -> Response:
            return _with(errors.answer(request, error), headers)

        async def refuse(request: Request, _: str = "") -> Response:
            if not is_open:
                await self._bridge.quick(self._authenticated, request, None)  # 401 comes before 405 (A4)
            return respond_json({"detail": f"Method {request.method} is not allowed here."}, 405, headers)

        handlers = {
            name: self._handler(name, method, headers) if method else refuse for name, method in methods.items()
        }
        resource = Resource(handlers, method_not_allowed=refuse, on_error=on_error, options_headers=headers)
        return Route(path, resource)

    async def authenticate(self, request: Request, permission: Permission) -> Actor:
        """For handlers that read the body themselves. Raises Unauthenticated, KindMissing, ScopeMissing."""
        return await self._bridge.quick(self._authenticated, request, permission)

    async def members(self, request: Request) -> Members:
        """The JSON object that the body is, whatever its media type (contract G5, G6). Raises Invalid, TooLarge."""
        if (content_length(request) or 0) > _BODY_BYTES:
            raise TooLarge(_BODY_BYTES)
        return Members(decode_object(await read_body(request.receive, _BODY_BYTES)))

    def _handler(self, name: str, method: Called | Handler, headers: Mapping[str, str]) -> Handler:
        if isinstance(method, tuple):
            method = self._caller(*method, _PERMISSIONS[name])

        async def handle(request: Request) -> Response:
            return _with(await method(request), headers)

        return handle

    def _caller(self, way: Way, function: Function, permission: Permission) -> Handler:
        match way:
            case Way.READ:
                return lambda request: self._bridge.quick(self._look, function, permission, request)
            case Way.SEARCH:
                return lambda request: self._bridge.thread(self._look, function, permission, request)
            case Way.DELETE:
                return lambda request: self._bridge.thread(self._call, function, permission, request)
            case Way.CHANGE:
                return lambda request: self._change(function, permission, request)

    def _look(self, function: Function, permission: Permission, request: Request) -> Response:
        with self._archive.database.read():  # one connection for all of it
            return self._call(function, permission, request)

    def _call(self, function: Function, permission: Permission, request: Request) -> Response:
        return _response(function(_asked(request, self._authenticated(request, permission), Members({}))))

    async def _change(self, function: Function, permission: Permission, request: Request) -> Response:
        asked = _asked(request, await self.authenticate(request, permission), await self.members(request))
        return _response(await self._bridge.thread(function, asked))

    def _authenticated(self, request: Request, permission: Permission | None) -> Actor:
        actor = authenticate(self._archive.credentials, request)
        if permission is not None:
            require(actor, permission)
        return actor


def _asked(request: Request, actor: Actor, members: Members) -> Asked:
    text = request.path_params.get("id")
    return Asked(
        request,
        actor,
        NOBODYS_ID if text is None else parse_id(text) or NOBODYS_ID,
        Parameters(request.query_params),
        members,
    )


def _response(result: Any) -> Response:
    return result if isinstance(result, Response) else respond_json(result)


def _with(response: Response, headers: Mapping[str, str]) -> Response:
    response.headers.update(headers)
    return response
