"""Machine images: making, showing, editing, ending, giving away and judging them."""

import builtins
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers, reading_machines
from pinakes.apis.native.models import vm_images as models
from pinakes.apis.native.models.values import Cursor, Limit, PathId, VisibilityName
from pinakes.core.actor import Actor, Visibility
from pinakes.core.catalogue import ci_places
from pinakes.core.catalogue.machine_catalogue import ImageChanges
from pinakes.core.catalogue.machine_listing import CatalogueFilter, CatalogueImage, Order, OrderField
from pinakes.core.catalogue.machines import NewMachine
from pinakes.core.catalogue.registration import known_tags
from pinakes.core.errors import InvalidFields, Unauthenticated
from pinakes.core.page import PageRequest
from pinakes.web.api import ApiContext

_NEWEST_FIRST = (Order(OrderField.ID, is_descending=True),)
_NEVER_NULL = ("name", "visibility", "is_public", "tags")


class VmImages:
    """`/vm-images` and what is below, without versions, shares and icon."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._database = context.archive.database
        self._catalogue = context.archive.machine_catalogue
        self._lifecycle = context.archive.lifecycle
        self._registration = context.archive.registration
        self._callers = callers

    async def list(
        self,
        request: Request,
        mine: Annotated[bool, Query(description="Only one's own.")] = False,
        ended: Annotated[bool, Query(description="Also ended ones, as far as one sees them.")] = False,
        featured: Annotated[bool, Query(description="Only what staff recommends.")] = False,
        author: Annotated[str, Query(max_length=30, description="A user name, exact.")] = "",
        tag: Annotated[str, Query(max_length=128, description="A tag's name, exact.")] = "",
        search: Annotated[
            str, Query(max_length=1024, description="Words that names, descriptions or tags must hold, all of them.")
        ] = "",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> models.VmImagePage:
        """List machine images that one may read, newest first."""

        def look(actor: Actor) -> models.VmImagePage:
            reading_machines(actor)
            if mine and actor.is_anonymous:
                raise Unauthenticated
            wanted = CatalogueFilter(
                author_name=actor.name if mine else author,
                tag=tag,
                search=search,
                is_featured=featured,
                with_ended=ended,
                below_id=cursor,
                order=_NEWEST_FIRST,
            )
            found = self._catalogue.list(actor, wanted, PageRequest(size=limit))
            is_more = found.total > len(found.items)
            items = self._shown(found.items)
            return models.VmImagePage(items=items, next_cursor=str(items[-1].id) if is_more and items else None)

        return await self._callers.read(request, look)

    async def create(self, request: Request, new: models.NewVmImage) -> models.VmImage:
        """Make a machine image of one's own, without a version. Private unless told otherwise."""
        visibility = _visibility(new.visibility, new.is_public)
        machine = NewMachine(
            name=new.name,
            ci_name=new.ci_name,
            namespace=new.namespace or "",
            description=new.description,
            visibility=visibility or Visibility.PRIVATE,
            end_at=new.end_date,
            tags=tuple(new.tags),
        )
        return await self._callers.change(
            request, lambda actor: self._one(actor, self._registration.create(actor, machine))
        )

    async def get(self, request: Request, image_id: PathId) -> models.VmImage:
        """Show a machine image."""
        return await self._callers.glance(request, lambda actor: self._one(reading_machines(actor), image_id))

    async def update(self, request: Request, image_id: PathId, change: models.VmImageChange) -> models.VmImage:
        """Change what is said of a machine image. For its creator."""
        given = representation.given(change, _NEVER_NULL)
        visibility = _visibility(given.pop("visibility", None), given.pop("is_public", None))

        def update(actor: Actor) -> models.VmImage:
            changes: dict[str, Any] = {name: given[name] for name in ("name", "description") if name in given}
            if "end_date" in given:
                changes["end_at"] = given["end_date"]
            if visibility is not None:
                changes["visibility"] = visibility
            if "tags" in given:
                with self._database.read() as connection:
                    changes["tag_ids"] = tuple(tag.id for tag in known_tags(connection, given["tags"]))
            self._catalogue.update(actor, image_id, ImageChanges(**changes))
            return self._one(actor, image_id)

        return await self._callers.change(request, update)

    async def end(self, request: Request, image_id: PathId) -> Response:
        """End a machine image now: it is off every list, and there for its author and staff only."""
        await self._callers.change(request, lambda actor: self._lifecycle.end(actor, image_id))
        return Response(None, 204)

    async def restore(self, request: Request, image_id: PathId) -> models.VmImage:
        """Take the end of a machine image away."""

        def restore(actor: Actor) -> models.VmImage:
            self._lifecycle.restore(actor, image_id)
            return self._one(actor, image_id)

        return await self._callers.change(request, restore)

    async def purge(self, request: Request, image_id: PathId) -> Response:
        """Remove a machine image and its contents for good. For its author and staff."""
        await self._callers.change(request, lambda actor: self._lifecycle.purge(actor, image_id))
        return Response(None, 204)

    async def transfer(self, request: Request, image_id: PathId, to: models.Transfer) -> Response:
        """Give a machine image to another user. For its author and staff.

        It loses its Djinn name and the patterns it was shared by. In a namespace it cannot be given away.
        """
        await self._callers.change(request, lambda actor: self._lifecycle.transfer(actor, image_id, to.username))
        return Response(None, 204)

    async def moderate(self, request: Request, image_id: PathId, decision: models.Moderation) -> models.VmImage:
        """Hide, feature or end a machine image. For staff."""

        def moderate(actor: Actor) -> models.VmImage:
            self._lifecycle.moderate(
                actor,
                image_id,
                hides=bool(decision.is_hidden),
                is_featured=decision.is_featured,
                ends=bool(decision.is_ended),
            )
            return self._one(actor, image_id)

        return await self._callers.change(request, moderate)

    def _one(self, actor: Actor, image_id: int) -> models.VmImage:
        """Raises ImageUnknown."""
        with self._database.read():
            return self._shown([self._catalogue.get(actor, image_id)])[0]

    def _shown(self, found: Sequence[CatalogueImage]) -> builtins.list[models.VmImage]:
        with self._database.read() as connection:
            places = ci_places.of_images(connection, [image.summary.id for image in found])
        return [representation.vm_image(image, places.get(image.summary.id, ci_places.NOWHERE)) for image in found]


def _visibility(name: VisibilityName | None, is_public: bool | None) -> Visibility | None:
    """What the two words for it come to. Raises InvalidFields if they differ."""
    if name is None:
        return None if is_public is None else Visibility.PUBLIC if is_public else Visibility.PRIVATE
    if is_public is not None and is_public is not (name == "public"):
        raise InvalidFields.one("is_public", "contradicts visibility")
    return Visibility(name)
