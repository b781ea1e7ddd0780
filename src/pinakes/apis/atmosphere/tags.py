"""`/tags`, and `/image_tags`, which say what is tagged with what (atmosphere contract 8.1, 8.2)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere import representation
from pinakes.apis.atmosphere.answers import Answers
from pinakes.apis.atmosphere.auth import Callers, require_login
from pinakes.apis.atmosphere.basics import tag as show_tag
from pinakes.apis.atmosphere.members import Members
from pinakes.apis.atmosphere.requests import filters, key, key_of, read_object
from pinakes.core.actor import Actor, Permission
from pinakes.core.catalogue.changes import Unchanged
from pinakes.core.catalogue.keys import Key
from pinakes.core.catalogue.tag_records import Tag
from pinakes.core.catalogue.taggings import Tagging
from pinakes.core.catalogue.tags import require_staff
from pinakes.core.errors import TagUnknown, Unknown
from pinakes.core.page import Listed, PageRequest
from pinakes.web.api import ApiContext


class Tags:
    """The words themselves. Anyone reads them."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._tags = context.archive.tags
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        return await self._answers.listing(self._callers, request, lambda _, page: self._tags.list(page), show_tag)

    async def get(self, request: Request) -> Response:
        wanted = key_of(request)
        actor, found = await self._callers.glance(request, lambda actor: (actor, self._tags.get(wanted)))
        return self._show(request, actor, found)

    async def create(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        name, description = _texts(await read_object(request, self._max_json_bytes), is_whole=True)
        made = await self._callers.change_as(
            actor, lambda actor: self._tags.create(actor, name or "", description or "")
        )
        return self._show(request, actor, made, 201)

    async def update(self, request: Request) -> Response:
        return await self._update(request, is_whole=False)

    async def replace(self, request: Request) -> Response:
        return await self._update(request, is_whole=True)

    async def delete(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        wanted = key_of(request)
        await self._callers.change_as(actor, lambda actor: self._tags.delete(actor, wanted))
        return self._answers.nothing()

    async def _update(self, request: Request, *, is_whole: bool) -> Response:
        actor = await self._callers.user(request)
        wanted = key_of(request)
        require_staff(actor, Permission.WRITE)
        name, description = _texts(await read_object(request, self._max_json_bytes), is_whole=is_whole)
        made = await self._callers.change_as(
            actor, lambda actor: self._tags.update(actor, wanted, name=name, description=description)
        )
        return self._show(request, actor, made)

    def _show(self, request: Request, actor: Actor, tag: Tag, status: int = 200) -> Response:
        return self._answers.json(show_tag(tag, self._answers.view(request, actor)), status)


class ImageTags:
    """One row for each tag on each active image the caller may see."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._taggings = context.archive.taggings
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        return await self._answers.listing(
            self._callers,
            request,
            lambda actor, page: self._find(request, actor, page),
            representation.tagging,
            needs_login=True,
        )

    async def get(self, request: Request) -> Response:
        actor, found = await self._callers.glance(
            request, lambda actor: (actor, self._taggings.get(require_login(actor), _row_of(request)))
        )
        return self._show(request, actor, found)

    async def create(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        members = Members(await read_object(request, self._max_json_bytes))
        image, tag = members.key("image", is_required=True), members.key("tag", is_required=True)
        members.check()
        assert not isinstance(image, Unchanged)
        assert not isinstance(tag, Unchanged)
        made = await self._callers.change_as(actor, lambda actor: self._taggings.create(actor, image, tag))
        return self._show(request, actor, made, 201)

    async def delete(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        row = _row_of(request)
        await self._callers.change_as(actor, lambda actor: self._taggings.delete(actor, row))
        return self._answers.nothing()

    def _find(self, request: Request, actor: Actor, page: PageRequest) -> Listed[Tagging]:
        query = filters(request)
        given = {query[name] for name in ("application__id", "image_id") if name in query}
        try:
            images: set[Key] = {key(text) for text in given}
        except Unknown:
            return Listed((), 0)
        if len(images) > 1:
            return Listed((), 0)
        return self._taggings.list(actor, page, next(iter(images), None))

    def _show(self, request: Request, actor: Actor, tagging: Tagging, status: int = 200) -> Response:
        return self._answers.json(representation.tagging(tagging, self._answers.view(request, actor)), status)


def _row_of(request: Request) -> int:
    """Rows have no uuid. Raises TagUnknown."""
    named = key_of(request)
    if isinstance(named, str):
        raise TagUnknown
    return named


def _texts(body: dict[str, Any], *, is_whole: bool) -> tuple[str | None, str | None]:
    """Name and description; None where absent. is_whole: both must be there. Raises InvalidFields."""
    members = Members(body)
    name = members.text("name", is_required=is_whole)
    description = members.text("description", is_required=is_whole)
    members.check()
    return None if isinstance(name, Unchanged) else name, None if isinstance(description, Unchanged) else description
