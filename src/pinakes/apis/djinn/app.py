"""The application: every route of the Djinn CI API in one table (djinn contract, sections 1, 3 to 9)."""

from collections.abc import Mapping

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes.apis.djinn import representation
from pinakes.apis.djinn.auth import Callers
from pinakes.apis.djinn.bodies import Answers
from pinakes.apis.djinn.errors import NOT_FOUND, method_not_allowed, on_error, respond
from pinakes.apis.djinn.images import Images
from pinakes.apis.djinn.invites import Invites
from pinakes.apis.djinn.namespaces import Namespaces
from pinakes.apis.djinn.uploads import Uploads
from pinakes.core.actor import Actor
from pinakes.core.errors import Unauthenticated
from pinakes.web.api import ApiContext
from pinakes.web.exchange import call_app
from pinakes.web.resource import Handler, Resource

_INTERNAL_ERROR = b'{"message":"Internal Server Error"}'


class _PathConvertor(Convertor[str]):
    """The path of a namespace in a URL: it never holds the `-` that comes before what hangs on it."""

    regex = "[A-Za-z0-9]+(?:/[A-Za-z0-9]+)*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("djinn_path", _PathConvertor())

_NAMESPACE = "/n/{owner}/{path:djinn_path}"


def create(context: ApiContext) -> ASGIApp:
    """The application, over an archive."""
    answers = Answers(context)
    callers = Callers(context.archive, context.bridge)
    images = Images(context, callers, answers)
    uploads = Uploads(context, callers, answers)
    namespaces = Namespaces(context, callers, answers, images)
    invites = Invites(context, callers, answers)
    account = Account(callers, answers)
    table: Mapping[str, Mapping[str, Handler]] = {
        "/": {"GET": account.index},
        "/user": {"GET": account.user},
        "/images": {"GET": images.list, "POST": uploads.create},
        "/images/{image}": {"GET": images.get, "DELETE": images.delete},
        "/namespaces": {"GET": namespaces.list, "POST": namespaces.create},
        "/invites": {"GET": invites.list},
        "/invites/{invite}": {"PATCH": invites.accept, "DELETE": invites.delete},
        _NAMESPACE: {"GET": namespaces.get, "PATCH": namespaces.update, "DELETE": namespaces.delete},
        f"{_NAMESPACE}/-/namespaces": {"GET": namespaces.children},
        f"{_NAMESPACE}/-/images": {"GET": namespaces.images},
        f"{_NAMESPACE}/-/collaborators": {"GET": namespaces.collaborators},
        f"{_NAMESPACE}/-/collaborators/{{username}}": {"DELETE": namespaces.remove_collaborator},
        f"{_NAMESPACE}/-/invites": {"GET": invites.sent, "POST": invites.send},
        **{f"{_NAMESPACE}/-/{word}": {"GET": namespaces.unmodelled} for word in representation.UNMODELLED},
    }
    routes = [Route(path, _resource(handlers)) for path, handlers in table.items()]
    return Application(Router(routes, redirect_slashes=False, default=_not_found))


class Application:
    """The router, in an exchange of its own also where nothing outside has begun one."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await call_app(self._router, scope, receive, send)


class Account:
    """What there is, and who asks."""

    def __init__(self, callers: Callers, answers: Answers) -> None:
        self._callers = callers
        self._answers = answers

    async def index(self, request: Request) -> Response:
        """For anyone, whatever token they show (contract 1.10)."""
        return self._answers.json(representation.index(self._answers.base(request)))

    async def user(self, request: Request) -> Response:
        actor = await self._callers.glance(request, _user)
        return self._answers.json(representation.actor(actor))


def _user(actor: Actor) -> Actor:
    if actor.is_anonymous:
        raise Unauthenticated
    return actor


def _resource(handlers: Mapping[str, Handler]) -> Resource:
    return Resource(
        handlers,
        method_not_allowed=method_not_allowed,
        on_error=on_error,
        options_status=None,
        internal_error=_INTERNAL_ERROR,
    )


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(NOT_FOUND)(scope, receive, send)
