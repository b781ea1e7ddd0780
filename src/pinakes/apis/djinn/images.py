"""The images: listing, showing, handing out and deleting them. How they come in is in `uploads`."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.djinn import representation
from pinakes.apis.djinn.auth import Callers
from pinakes.apis.djinn.bodies import Answers, page_request
from pinakes.apis.djinn.negotiation import content_type
from pinakes.core.access import policy
from pinakes.core.actor import Actor
from pinakes.core.catalogue.machine_records import MachineImage
from pinakes.core.errors import ImageUnknown
from pinakes.core.page import Page, PageRequest
from pinakes.web.api import ApiContext
from pinakes.web.download import respond_content
from pinakes.web.paging import parse_id
from pinakes.web.ranges import select


class Images:
    """`/images` and `/images/:id`."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._bridge = context.bridge
        self._machines = context.archive.machines
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        page = page_request(request)
        # A page out of an index is a quick look; a search may walk all of the caller's names.
        look = self._callers.read if page.search else self._callers.glance
        actor, found = await look(request, lambda actor: (actor, self._machines.list(actor, page)))
        return self.page(request, actor, found, page)

    async def get(self, request: Request) -> Response:
        image_id = image_id_of(request)
        actor, image = await self._callers.glance(request, lambda actor: (actor, self._machines.get(actor, image_id)))
        wanted = content_type(request.headers.get("accept", ""))
        if wanted is not None:
            return await self._content(request, actor, image, wanted)
        response = self._answers.json(show(image, self._answers.base(request), actor))
        response.headers["Vary"] = "Accept"
        return response

    async def delete(self, request: Request) -> Response:
        image_id = image_id_of(request)
        await self._callers.change(request, lambda actor: self._machines.delete(actor, image_id))
        return self._answers.nothing()

    def page(self, request: Request, actor: Actor, found: Page[MachineImage], page: PageRequest) -> Response:
        """A page of images, as this actor sees them."""
        base = self._answers.base(request)
        items = [show(image, base, actor) for image in found.items]
        return self._answers.page(request, items, page, has_next=found.has_next)

    async def _content(self, request: Request, actor: Actor, image: MachineImage, media_type: str) -> Response:
        """The content, or the range of it that is asked for (contract 8.2, 8.3). A HEAD is no read of it."""
        version = image.version
        if version is None:  # still being fetched, or that failed (contract 7.4)
            raise ImageUnknown
        selected = select(request.method, request.headers, version.size_bytes, f'"{version.digest}"', image.created_at)
        headers = {"Vary": "Accept", "Cache-Control": "private, no-cache"}
        open_reader = partial(self._machines.open, actor, image)
        return await respond_content(request, selected, self._bridge, open_reader, headers, media_type)


def show(image: MachineImage, base: str, actor: Actor) -> representation.Json:
    """An image as this actor sees it."""
    return representation.image(image, base, is_insider=policy.is_among_people(actor, image.facts))


def image_id_of(request: Request) -> int:
    """Raises ImageUnknown for what is no id (contract 1.5)."""
    image_id = parse_id(request.path_params["image"])
    if image_id is None:
        raise ImageUnknown
    return image_id
