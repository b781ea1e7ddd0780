"""Writing answers: JSON, absolute URLs, and the envelope of collections (atmosphere contract C2, C9, C11, L1, L5)."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere.auth import Callers, require_login
from pinakes.apis.atmosphere.basics import Json, View
from pinakes.apis.atmosphere.errors import HEADERS, PageUnknown
from pinakes.apis.atmosphere.requests import page_request, parameters
from pinakes.core.actor import Actor
from pinakes.core.page import LAST, Listed, PageRequest
from pinakes.web.api import ApiContext
from pinakes.web.jsonbody import respond_json
from pinakes.web.paths import raw_path

T = TypeVar("T")


class Answers:
    """Answers with absolute URLs in them."""

    def __init__(self, context: ApiContext) -> None:
        self._origins = context.origins
        self._tags = context.archive.tags

    def base(self, request: Request) -> str:
        """The API's external address, up to before `/api/v2`."""
        return self._origins.base_url(request.scope)

    def view(self, request: Request, actor: Actor) -> View:
        """For whom something is shown."""
        return View(actor, self.base(request), partial(self._tags.may_attach, actor))

    def json(self, value: Any, status: int = 200) -> Response:
        return respond_json(value, status, HEADERS)

    def nothing(self) -> Response:
        return Response(None, 204, HEADERS)

    async def listing(
        self,
        callers: Callers,
        request: Request,
        find: Callable[[Actor, PageRequest], Listed[T]],
        show: Callable[[T, View], Json],
        *,
        needs_login: bool = False,
    ) -> Response:
        """A page of a collection, found and rendered in one hop to a thread: it may hold a thousand items.

        needs_login: an anonymous caller has nothing to ask (contract C5). Raises as `collection` and `find` do.
        """

        def respond(actor: Actor) -> Response:
            if needs_login:
                require_login(actor)
            page, view = page_request(request), self.view(request, actor)
            return self.collection(request, page, find(actor, page), lambda item: show(item, view))

        return await callers.read(request, respond)

    def collection(self, request: Request, page: PageRequest, found: Listed[T], show: Callable[[T], Json]) -> Response:
        """A page of a collection in its envelope. Raises PageUnknown past the end (contract L1, L4, L5)."""
        last = max(1, -(-found.total // page.size))
        number = last if page.number == LAST else page.number
        if number > last:
            raise PageUnknown
        return self.json(
            {
                "count": found.total,
                "next": self._page_url(request, number + 1) if number < last else None,
                "previous": self._page_url(request, number - 1) if number > 1 else None,
                "results": [show(item) for item in found.items],
            }
        )

    def _page_url(self, request: Request, number: int) -> str:
        kept = [(name, value) for name, value in parameters(request) if name != "page"]
        path = raw_path(request.scope).decode("ascii", "replace")
        return f"{self.base(request)}{path}?{urlencode([*kept, ('page', str(number))])}"
