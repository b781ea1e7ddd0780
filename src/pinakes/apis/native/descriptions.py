"""What was read from the content of an image, and having it read again."""

from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import viewing as models
from pinakes.apis.native.models.values import PathId, VersionName
from pinakes.apis.native.viewers import Viewers
from pinakes.core.catalogue.descriptions import Described
from pinakes.web.api import ApiContext


class Descriptions:
    """`/images/{image_id}/description` and `/images/{image_id}/ingest`"""

    def __init__(self, context: ApiContext, callers: Callers, viewers: Viewers) -> None:
        self._ingest = context.archive.ingest
        self._callers = callers
        self._viewers = viewers

    async def description(self, request: Request, image_id: PathId, version: VersionName = None) -> models.Description:
        """Show what was read from a content: its format, size, scale, levels and more; of a disk, its partitions."""
        found = await self._callers.read(request, lambda actor: self._ingest.find(actor, image_id, version))
        return self._shown(request, image_id, version, found)

    async def ingest(self, request: Request, image_id: PathId, version: VersionName = None) -> models.Description:
        """Have a content read again, such as one whose reading failed. For those who may change the image."""
        found = await self._callers.change(request, lambda actor: self._ingest.retry(actor, image_id, version))
        return self._shown(request, image_id, version, found)

    def _shown(self, request: Request, image_id: int, version: str | None, found: Described) -> models.Description:
        names = found.description.associated if found.description else ()
        associated = self._viewers.associated(request, image_id, names, version)
        return representation.description(image_id, found, associated)
