"""Writing answers: JSON, absolute URLs, and the envelope of collections (atmosphere contract C2, C9, C11, L1, L5)."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere.basics import Json, View
from pinakes.apis.atmosphere.errors import HEADERS, PageUnknown
from pinakes.apis.atmosphere.requests import parameters
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
        return View(self.base(request), partial(self._tags.may_attach, actor))

    def json(self, value: Any, status: int = 200) -> Response:
        return respond_json(value, status, HEADERS)

    def nothing(self) -> Response:
        return Response(None, 204, HEADERS)

    def collection(self, request: Request, page: PageRequest, found: Listed[T], show: Callable[[T], Json]) -> Response:
        """A page of a collection in its envelope. Raises PageUnknown past the end (contract L1, L4, L5).

        For up to a thousand items: large ones are best made in the thread that found them.
        """
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
