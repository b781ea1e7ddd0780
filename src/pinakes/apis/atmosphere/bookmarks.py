"""`/image_bookmarks` (atmosphere contract B1)."""

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere import companions
from pinakes.apis.atmosphere.answers import Answers
from pinakes.apis.atmosphere.auth import Callers, require_login
from pinakes.apis.atmosphere.members import Members
from pinakes.apis.atmosphere.requests import key_of, read_object
from pinakes.core.actor import Actor
from pinakes.core.catalogue.bookmarks import Bookmark
from pinakes.core.catalogue.changes import Unchanged
from pinakes.core.catalogue.keys import Key
from pinakes.web.api import ApiContext


class Bookmarks:
    """The caller's own bookmarks, of images they may see."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._bookmarks = context.archive.bookmarks
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        return await self._answers.listing(
            self._callers, request, self._bookmarks.list, companions.bookmark, needs_login=True
        )

    async def get(self, request: Request) -> Response:
        def find(actor: Actor) -> tuple[Actor, Bookmark]:
            return require_login(actor), self._bookmarks.get(actor, key_of(request))

        actor, found = await self._callers.glance(request, find)
        return self._answers.json(companions.bookmark(found, self._answers.view(request, actor)))

    async def create(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        image = _image(Members(await read_object(request, self._max_json_bytes)))
        made = await self._callers.change_as(actor, lambda actor: self._bookmarks.create(actor, image))
        return self._answers.json(companions.bookmark(made, self._answers.view(request, actor)), 201)

    async def delete(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        wanted = key_of(request)
        await self._callers.change_as(actor, lambda actor: self._bookmarks.delete(actor, wanted))
        return self._answers.nothing()


def _image(members: Members) -> Key:
    """Raises InvalidFields."""
    image = members.key("image", is_required=True)
    members.check()
    assert not isinstance(image, Unchanged)
    return image
