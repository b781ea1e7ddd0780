"""From a request to the actor who makes it.

    /iiif/view/<link>/3/12/info.json   a view link, for viewers that cannot send a header
    /iiif/3/12/info.json?token=<link>  the same; what the answer refers to then has the form above

Without a link a header or a session's cookie tells (`web.callers`). A link that is shown must be good, also where
nothing is needed. It counts before anything else, and for one image only.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from starlette.requests import Request

from pinakes.apis.iiif.identifiers import Identifier
from pinakes.core.actor import Actor
from pinakes.core.errors import ImageUnknown, Unauthenticated
from pinakes.core.renditions.viewed import ViewedImage
from pinakes.web import callers
from pinakes.web.bridge import Later

R = TypeVar("R")

API_NAME = "iiif"

Look: TypeAlias = Callable[[Actor, ViewedImage], R | Later[R]]
"""What is done with a picture that somebody may see."""


class Callers(callers.PageCallers):
    """Those who want to see pictures."""

    api = API_NAME

    def actor(self, request: Request) -> Actor:
        """Who asks for something that is not a single image. Raises Unauthenticated."""
        if link_of(request) is not None:
            raise Unauthenticated
        return super().actor(request)

    async def look(self, request: Request, identifier: Identifier, operation: Look[R]) -> R:
        """Call an operation on one picture, which leaves for later what may take decoding.

        Raises Unauthenticated, and what `Renditions.info` does; ImageUnknown also for a frame that is not there.
        """
        return await self._bridge.begin(self._look, request, identifier, operation)

    async def view(self, request: Request, image_id: int, operation: Callable[[Actor], R]) -> R:
        """Call an operation on one image that takes its time, in a thread. Raises Unauthenticated, ScopeMissing."""
        return await self._bridge.thread(lambda: operation(self._viewer(request, image_id)))

    def _look(self, request: Request, identifier: Identifier, operation: Look[R]) -> R | Later[R]:
        renditions, asked = self._archive.renditions, (identifier.image_id, identifier.version)
        with self._archive.database.read():
            actor = self._viewer(request, identifier.image_id)
            viewed = renditions.glance(actor, *asked)
        if viewed is not None:
            return operation(actor, _with_frame(viewed, identifier))
        return Later(lambda: operation(actor, _with_frame(renditions.info(actor, *asked), identifier)))

    def _viewer(self, request: Request, image_id: int) -> Actor:
        """Raises Unauthenticated, ScopeMissing."""
        link = link_of(request)
        return self.actor(request) if link is None else self._archive.view_links.actor(link, image_id)


def link_of(request: Request) -> str | None:
    """The view link of a request; "" where it is given in a way that cannot be meant."""
    in_path: str | None = request.path_params.get("link")
    if in_path is None and not request.scope["query_string"]:
        return None
    given = request.query_params.getlist("token")
    if in_path is not None:
        given.append(in_path)
    if not given:
        return None
    return given[0] if len(given) == 1 else ""


def _with_frame(viewed: ViewedImage, identifier: Identifier) -> ViewedImage:
    if identifier.frame >= viewed.description.frames:
        raise ImageUnknown
    return viewed
