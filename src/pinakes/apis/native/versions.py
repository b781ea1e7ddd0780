"""The versions of machine images. Their contents are in `content`."""

import builtins
from collections.abc import Sequence

from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers, reading_machines
from pinakes.apis.native.models import versions as models
from pinakes.apis.native.models.values import Cursor, Limit, PathId
from pinakes.core.actor import Actor
from pinakes.core.catalogue.registration import VersionDraft
from pinakes.core.catalogue.version_records import MachineVersion, VersionFilter
from pinakes.core.catalogue.versions import VersionChanges
from pinakes.core.errors import VersionUnknown
from pinakes.core.page import PageRequest
from pinakes.web.api import ApiContext

_NAMES = {
    "name": "name",
    "change_log": "change_log",
    "end_date": "end_at",
    "allow_imaging": "allows_imaging",
    "min_cpu": "min_cpu",
    "min_mem": "min_mem_mb",
    "doc_object_id": "doc_object_id",
}
"""The core's names of what a client may change."""

_NEVER_NULL = ("name", "change_log", "allow_imaging")


class Versions:
    """`/vm-images/{image_id}/versions` and what is below."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._images = context.archive.images
        self._imports = context.archive.imports
        self._registration = context.archive.registration
        self._versions = context.archive.versions
        self._callers = callers

    async def list(
        self, request: Request, image_id: PathId, cursor: Cursor = None, limit: Limit = 50
    ) -> models.VersionPage:
        """List the versions of an image, oldest first."""
        page = PageRequest(cursor or 1, limit)

        def look(actor: Actor) -> models.VersionPage:
            self._images.get(reading_machines(actor), image_id)
            found = self._versions.list(actor, VersionFilter(image=image_id), page)
            next_cursor = representation.page_after(page, found.total)
            return models.VersionPage(items=self._shown(found.items), next_cursor=next_cursor)

        return await self._callers.read(request, look)

    async def create(self, request: Request, image_id: PathId, new: models.NewVersion) -> models.Version:
        """Add a version; its content is sent or fetched afterwards."""
        draft = VersionDraft(
            new.name,
            new.change_log,
            new.parent,
            new.allow_imaging,
            new.doc_object_id,
            new.min_cpu,
            new.min_mem,
        )

        def add(actor: Actor) -> models.Version:
            version_id = self._registration.add_version(actor, image_id, draft)
            return self._shown([self._versions.get(actor, version_id)])[0]

        return await self._callers.change(request, add)

    async def get(self, request: Request, image_id: PathId, version_id: PathId) -> models.Version:
        """Show a version."""

        def look(actor: Actor) -> models.Version:
            return self._shown([self._found(reading_machines(actor), image_id, version_id)])[0]

        return await self._callers.glance(request, look)

    async def update(
        self, request: Request, image_id: PathId, version_id: PathId, change: models.VersionChange
    ) -> models.Version:
        """Change what is said of a version. For the creator of its image."""
        changes = VersionChanges(
            **{_NAMES[name]: value for name, value in representation.given(change, _NEVER_NULL).items()}
        )

        def update(actor: Actor) -> models.Version:
            self._found(actor, image_id, version_id)
            return self._shown([self._versions.update(actor, version_id, changes)])[0]

        return await self._callers.change(request, update)

    async def fetch(
        self, request: Request, image_id: PathId, version_id: PathId, source: models.NewImport
    ) -> models.Download:
        """Have the content of a version fetched from elsewhere. The job that does it is among `/jobs`."""

        def start(actor: Actor) -> models.Download:
            self._found(actor, image_id, version_id)
            return representation.download(self._imports.start_version(actor, version_id, source.url))

        return await self._callers.change(request, start)

    def _shown(self, found: Sequence[MachineVersion]) -> builtins.list[models.Version]:
        fetched = self._imports.of_versions([version.id for version in found])
        return [representation.version(version, fetched.get(version.id)) for version in found]

    def _found(self, actor: Actor, image_id: int, version_id: int) -> MachineVersion:
        """A version the actor may see, of this image. Raises VersionUnknown."""
        found = self._versions.get(actor, version_id)
        if found.image.id != image_id:
            raise VersionUnknown
        return found
