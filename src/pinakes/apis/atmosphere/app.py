"""The application: every route of the Atmosphere API in one table (atmosphere contract, sections 4 to 9)."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes.apis.atmosphere.accounts import AccessTokens, Login, Profiles, Tokens, Users
from pinakes.apis.atmosphere.answers import Answers
from pinakes.apis.atmosphere.auth import Callers
from pinakes.apis.atmosphere.bookmarks import Bookmarks
from pinakes.apis.atmosphere.errors import HEADERS, NOT_FOUND, method_not_allowed, on_error, respond
from pinakes.apis.atmosphere.icons import Icons
from pinakes.apis.atmosphere.images import Images
from pinakes.apis.atmosphere.memberships import Memberships
from pinakes.apis.atmosphere.patterns import Patterns
from pinakes.apis.atmosphere.stubs import EMPTY_COLLECTIONS, Stubs
from pinakes.apis.atmosphere.tags import ImageTags, Tags
from pinakes.apis.atmosphere.versions import Versions
from pinakes.web.api import ApiContext
from pinakes.web.cors import Cors
from pinakes.web.exchange import call_app
from pinakes.web.jsonbody import respond_json
from pinakes.web.resource import Handler, Resource

_V1 = "/api/v1"
_V2 = "/api/v2"


def create(context: ApiContext) -> ASGIApp:
    """The application, over an archive."""
    answers = Answers(context)
    callers = Callers(context.archive, context.bridge)
    images = Images(context, callers, answers)
    tags = Tags(context, callers, answers)
    image_tags = ImageTags(context, callers, answers)
    versions = Versions(context, callers, answers)
    bookmarks = Bookmarks(context, callers, answers)
    patterns = Patterns(context, callers, answers)
    memberships = Memberships(context, callers, answers)
    login = Login(context, answers)
    tokens = Tokens(context, callers, answers)
    access_tokens = AccessTokens(context, callers, answers)
    users = Users(context, callers, answers)
    profiles = Profiles(context, callers, answers)
    stubs = Stubs(context, callers, answers)
    icons = Icons(context, callers)
    table: Mapping[str, Mapping[str, Handler]] = {
        # -- 4 to 6: images
        f"{_V2}/images": {"GET": images.list},
        f"{_V2}/images/{{key}}": {"GET": images.get, "PUT": images.replace, "PATCH": images.update},
        # -- 8.1, 8.2: tags
        f"{_V2}/tags": {"GET": tags.list, "POST": tags.create},
        f"{_V2}/tags/{{key}}": {"GET": tags.get, "PUT": tags.replace, "PATCH": tags.update, "DELETE": tags.delete},
        f"{_V2}/image_tags": {"GET": image_tags.list, "POST": image_tags.create},
        f"{_V2}/image_tags/{{key}}": {"GET": image_tags.get, "DELETE": image_tags.delete},
        # -- 8.3, S3: versions
        f"{_V2}/image_versions": {"GET": versions.list},
        f"{_V2}/image_versions/{{key}}": {"GET": versions.get, "PATCH": versions.update},
        f"{_V2}/provider_machines": {"GET": versions.machines},
        f"{_V2}/provider_machines/{{key}}": {"GET": versions.machine},
        # -- 8.4: bookmarks, sharing, accounts
        f"{_V2}/image_bookmarks": {"GET": bookmarks.list, "POST": bookmarks.create},
        f"{_V2}/image_bookmarks/{{key}}": {"GET": bookmarks.get, "DELETE": bookmarks.delete},
        f"{_V2}/pattern_matches": {"GET": patterns.list, "POST": patterns.create},
        f"{_V2}/pattern_matches/{{key}}": {
            "GET": patterns.get,
            "PUT": patterns.replace,
            "PATCH": patterns.update,
            "DELETE": patterns.delete,
        },
        f"{_V2}/image_version_memberships": {"GET": memberships.list, "POST": memberships.create},
        f"{_V2}/image_version_memberships/{{key}}": {"GET": memberships.get, "DELETE": memberships.delete},
        "/auth": {"POST": login.login},
        f"{_V2}/tokens": {"GET": tokens.list},
        f"{_V2}/tokens/{{key}}": {"GET": tokens.get},
        f"{_V2}/access_tokens": {"GET": access_tokens.list, "POST": access_tokens.create},
        f"{_V2}/access_tokens/{{key}}": {
            "GET": access_tokens.get,
            "PATCH": access_tokens.rename,
            "DELETE": access_tokens.delete,
        },
        f"{_V2}/users": {"GET": users.list},
        f"{_V2}/users/{{key}}": {"GET": users.get},
        f"{_V2}/profile": {"GET": profiles.get, "PATCH": profiles.update},
        f"{_V1}/profile": {"GET": profiles.get, "PATCH": profiles.update},
        # -- 9: stubs
        f"{_V2}/image_metrics": {"GET": stubs.metrics},
        f"{_V2}/image_metrics/{{key}}": {"GET": stubs.metrics_of_image},
        f"{_V2}/help_links": {"GET": stubs.help_links},
        f"{_V2}/providers/{{key}}": {"GET": stubs.provider},
        f"{_V2}/version": {"GET": stubs.version},
        f"{_V1}/maintenance": {"GET": stubs.maintenance},
        **{f"{_V2}/{name}": {"GET": stubs.empty} for name in EMPTY_COLLECTIONS},
        # -- icons
        "/images/{name}": {"GET": icons.get},
    }
    routes = [Route(path, _resource(handlers)) for path, handlers in table.items()]
    application = Application(Router(routes, redirect_slashes=False, default=_not_found))
    return Cors(application, context.allowed_origins)


class Application:
    """The router, in an exchange of its own also where nothing outside has begun one."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await call_app(self._router, scope, receive, send)


def _resource(handlers: Mapping[str, Handler]) -> Resource:
    allow = ", ".join([*handlers, *(["HEAD"] if "GET" in handlers else []), "OPTIONS"])

    async def options(request: Request) -> Response:  # noqa: ARG001 - the seam gives it
        """What may be asked (contract C10), in JSON like everything (C2)."""
        told = {"renders": ["application/json"], "parses": ["application/json"]}
        return respond_json(told, 200, {**HEADERS, "Allow": allow})

    return Resource(
        {**handlers, "OPTIONS": options},
        method_not_allowed=method_not_allowed,
        on_error=on_error,
    )


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(NOT_FOUND)(scope, receive, send)
