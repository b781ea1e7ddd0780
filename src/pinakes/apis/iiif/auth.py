"""From a request to the actor who makes it.

    Authorization: Bearer <token>      or `Token <token>`; the word in any case
    /iiif/view/<link>/3/12/info.json   a view link, for viewers that cannot send a header
    /iiif/3/12/info.json?token=<link>  the same; what the answer refers to then has the form above

Without any of them the caller is anonymous. What is shown must be good, also where nothing is needed. A link counts
before a header, and for one image only.
"""

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from pinakes.core.actor import Actor
from pinakes.core.errors import Unauthenticated
from pinakes.web import callers
from pinakes.web.callers import token_of

R = TypeVar("R")

API_NAME = "iiif"
_SCHEMES = frozenset({"bearer", "token"})


class Callers(callers.Callers):
    """Those who want to see pictures."""

    def actor(self, request: Request) -> Actor:
        """Who asks for something that is not a single image. Raises Unauthenticated."""
        if link_of(request) is not None:
            raise Unauthenticated
        if "authorization" not in request.headers:
            return Actor(API_NAME)
        token = token_of(request, _SCHEMES)
        if token is None:
            raise Unauthenticated
        return self._archive.credentials.actor(API_NAME, token)

    async def view(self, request: Request, image_id: int, operation: Callable[[Actor], R]) -> R:
        """Call an operation on one image, which may decode it: in a thread, with no connection held meanwhile."""
        return await self._bridge.thread(lambda: operation(self._viewer(request, image_id)))

    def _viewer(self, request: Request, image_id: int) -> Actor:
        """Raises Unauthenticated, ScopeMissing."""
        link = link_of(request)
        return self.actor(request) if link is None else self._archive.view_links.actor(link, image_id, api=API_NAME)


def link_of(request: Request) -> str | None:
    """The view link of a request; "" where it is given in a way that cannot be meant."""
    given = request.query_params.getlist("token")
    in_path: str | None = request.path_params.get("link")
    if in_path is not None:
        given.append(in_path)
    if not given:
        return None
    return given[0] if len(given) == 1 else ""
