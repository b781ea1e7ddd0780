"""`/images`: the catalogue, listed, shown, and edited by creators (atmosphere contract, sections 3 to 6)."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere import representation
from pinakes.apis.atmosphere.answers import Answers
from pinakes.apis.atmosphere.auth import Callers
from pinakes.apis.atmosphere.members import Members
from pinakes.apis.atmosphere.requests import filters, is_set, key_of, read_object
from pinakes.core.actor import Actor
from pinakes.core.catalogue.machine_catalogue import ImageChanges
from pinakes.core.catalogue.machine_listing import DEFAULT_ORDER, CatalogueFilter, CatalogueImage, Order, OrderField
from pinakes.core.page import Listed, PageRequest
from pinakes.web.api import ApiContext

Problems = Mapping[str, Sequence[str]]


class Images:
    """Machine images as a catalogue."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._catalogue = context.archive.machine_catalogue
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        wanted = _filter(filters(request))
        return await self._answers.listing(
            self._callers, request, lambda actor, page: self._find(actor, wanted, page), representation.image
        )

    async def get(self, request: Request) -> Response:
        wanted = key_of(request)
        actor, found = await self._callers.glance(request, lambda actor: (actor, self._catalogue.get(actor, wanted)))
        return self._show(request, actor, found)

    async def update(self, request: Request) -> Response:
        return await self._update(request, is_whole=False)

    async def replace(self, request: Request) -> Response:
        """Only the name must be there; what else is absent stays (contract E16)."""
        return await self._update(request, is_whole=True)

    async def _update(self, request: Request, *, is_whole: bool) -> Response:
        actor = await self._callers.user(request)
        wanted = key_of(request)
        changes, problems = _changes(await read_object(request, self._max_json_bytes), is_whole=is_whole)
        made = await self._callers.change_as(
            actor, lambda actor: self._catalogue.update(actor, wanted, changes, problems)
        )
        return self._show(request, actor, made)

    def _find(self, actor: Actor, wanted: CatalogueFilter | None, page: PageRequest) -> Listed[CatalogueImage]:
        return Listed((), 0) if wanted is None else self._catalogue.list(actor, wanted, page)

    def _show(self, request: Request, actor: Actor, image: CatalogueImage) -> Response:
        return self._answers.json(representation.image(image, self._answers.view(request, actor)))


# -- Queries ------------------------------------------------------------------------------------------------------


def _filter(query: Mapping[str, str]) -> CatalogueFilter | None:
    """What a list is asked for; None if nothing can match: there are no projects here (contract F1 to F7, L7, V5)."""
    if "projects__id" in query or "project_id" in query:
        return None
    authors = {query[name] for name in ("created_by__username", "created_by") if name in query}
    tags = {query[name] for name in ("tags__name", "tag_name") if name in query}
    if len(authors) > 1 or len(tags) > 1:
        return None
    return CatalogueFilter(
        author_name="".join(authors),
        tag="".join(tags),
        search=query.get("search", ""),
        is_featured=query.get("featured", "").lower() == "true",
        is_bookmarked=query.get("bookmarked", "").lower() == "true",
        with_ended=is_set(query, "archived"),
        order=_order(query.get("ordering", "")),
    )


def _order(text: str) -> tuple[Order, ...]:
    """`field[,field]`, a dash for descending; unknown fields are dropped, of a repeated one the first counts."""
    wanted: dict[OrderField, Order] = {}
    for item in text.split(","):
        name = item.strip()
        field = name.removeprefix("-")
        if field in set(OrderField):
            wanted.setdefault(OrderField(field), Order(OrderField(field), is_descending=name.startswith("-")))
    return tuple(wanted.values()) or DEFAULT_ORDER


# -- Bodies -------------------------------------------------------------------------------------------------------


def _changes(body: dict[str, Any], *, is_whole: bool) -> tuple[ImageChanges, Problems]:
    """What a body wants to be different, and what is wrong with it. Other members are ignored (contract E4)."""
    members = Members(body)
    changes = ImageChanges(
        name=members.text("name", is_required=is_whole),
        description=members.free_text("description"),
        end_at=members.moment("end_date"),
        is_public=members.flag("is_public"),
        tag_ids=members.ids("tags"),
        pattern_ids=members.ids("access_list"),
    )
    return changes, members.problems
