"""Pictures beside a picture, as a slide's label and macro: for those who may see who is shown.

To others a label is not there; what does not tell, as a slide's own thumbnail, is there for all who see the slide.
"""

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models.values import PathId, VersionName
from pinakes.apis.native.operations import Operation
from pinakes.apis.native.pictures import Choice, Choose, Ending, Pictures, operations
from pinakes.core.actor import Actor
from pinakes.core.errors import AssociatedUnknown
from pinakes.core.renditions.renditions import ViewedImage
from pinakes.core.renditions.wanted import AssociatedWanted, PictureFormat
from pinakes.web.api import ApiContext


class Associated:
    """`/images/{image_id}/associated/{name}` and `/images/{image_id}/associated/{name}.{ending}`"""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._renditions = context.archive.renditions
        self._pictures = Pictures(context, callers)

    def operations(self, path: str) -> list[Operation]:
        return operations(path, self.associated, self.associated_in)

    async def associated(self, request: Request, image_id: PathId, name: str, version: VersionName = None) -> Response:
        """Show a picture beside an image, such as a slide's label, in the format the Accept header likes best."""
        return await self._pictures.accepted(request, image_id, version, self._of(name))

    async def associated_in(
        self, request: Request, image_id: PathId, name: str, ending: Ending, version: VersionName = None
    ) -> Response:
        """Show a picture beside an image, in the format of the ending."""
        return await self._pictures.with_ending(request, image_id, version, ending, self._of(name))

    def _of(self, name: str) -> Choose:
        def choose(actor: Actor, viewed: ViewedImage, format: PictureFormat) -> Choice:
            if name not in viewed.description.associated:  # before it is said that the client has it
                raise AssociatedUnknown
            # Whoever sees a public image does not see its label, so that caches between must not keep it.
            return Choice(
                AssociatedWanted(name, format),
                lambda: self._renditions.associated(actor, viewed, name, format),
                is_public=False,
            )

        return choose
