"""What is shown together: the manifest of an image, of a patient's timeline, of a study.

    /presentation/images/12    /presentation/images/12/study    /presentation/patients/3    /presentation/studies/S-17

None tells who a patient is: labels are made of numbers and of what a picture is of, and a DICOM study is named by any
of its images, not by its UID. A manifest that holds nothing is a 404, since one must have at least one canvas
(Presentation API 3.0, section 5.2).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.iiif.answers import Places, document
from pinakes.apis.iiif.auth import Callers, link_of
from pinakes.apis.iiif.identifiers import Identifier
from pinakes.apis.iiif.manifests import CONTEXT, Manifests, Page
from pinakes.core.actor import Actor, Kind
from pinakes.core.clock import Instant, from_datetime
from pinakes.core.errors import ImageUnknown, NotAnImage, PatientUnknown, StudyUnknown
from pinakes.core.renditions.series import SeriesItem
from pinakes.core.renditions.viewed import ViewedImage
from pinakes.web.api import ApiContext
from pinakes.web.bridge import Later
from pinakes.web.paging import parse_id
from pinakes.web.paths import segments


class Presentation:
    """The resources below `/presentation`."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._origins = context.origins
        self._archive = context.archive
        self._callers = callers

    async def image(self, request: Request) -> Response:
        """One image; a canvas for each of its frames."""
        identifier = Identifier.parse(request.path_params["identifier"])
        manifests = self._manifests(request)

        def made(viewed: ViewedImage) -> Response:
            shown = viewed.description
            label = f"Image {viewed.image_id}"
            page = Page(identifier, label, viewed.size, shown.frames, _instant(shown.captured_at))
            # A link shows one image.
            is_part = shown.study is not None and link_of(request) is None
            whole = f"images/{viewed.image_id}/study" if is_part else None
            manifest = manifests.manifest(f"images/{identifier}", label, [page], part_of=whole)
            return document(request, manifest, CONTEXT, is_public=viewed.is_public)

        # There may be thousands of frames.
        return await self._callers.look(request, identifier, lambda _, viewed: Later(lambda: made(viewed)))

    async def dicom_study(self, request: Request) -> Response:
        """The images of the DICOM study that one image is of."""
        image_id = parse_id(request.path_params["image"])
        if image_id is None:
            raise ImageUnknown
        path, label = f"images/{image_id}/study", f"Study of image {image_id}"
        return await self._of_series(
            request, path, label, lambda actor: self._archive.series.of_dicom_study(actor, image_id)
        )

    async def patient(self, request: Request) -> Response:
        """A patient's timeline: what was taken of them, oldest first."""
        patient_id = parse_id(request.path_params["patient"])
        if patient_id is None:
            raise PatientUnknown
        path, label = f"patients/{patient_id}", f"Patient {patient_id}"
        return await self._of_series(
            request, path, label, lambda actor: self._archive.series.of_patient(actor, patient_id)
        )

    async def study(self, request: Request) -> Response:
        """The slides of one of a laboratory's studies."""
        named = segments(request.scope)  # the laboratory's own word for it, which may hold a slash
        if named is None:
            raise StudyUnknown
        study = named[-1]
        path = f"studies/{quote(study, safe='')}"
        return await self._of_series(request, path, "Study", lambda actor: self._archive.series.of_study(actor, study))

    async def _of_series(
        self, request: Request, path: str, label: str, look_up: Callable[[Actor], Sequence[SeriesItem]]
    ) -> Response:
        manifests = self._manifests(request)

        def made(actor: Actor) -> Response:
            pages = [_page(item) for item in look_up(actor)]
            if not pages:
                raise NotAnImage("There is no picture to show.")
            return document(request, manifests.manifest(path, label, pages), CONTEXT)

        return await self._callers.read(request, made)

    def _manifests(self, request: Request) -> Manifests:
        places = Places.of(request, self._origins)
        return Manifests(f"{places.seen_from}/presentation", places.seen_from)


def _page(item: SeriesItem) -> Page:
    """The name of a slide is its file's, which may tell who is shown."""
    label = item.name if item.kind is Kind.CLINICAL else f"{item.kind.value.capitalize()} {item.image_id}"
    return Page(Identifier(item.image_id), label, item.size, item.frames, item.taken_at)


def _instant(captured_at: str | None) -> Instant | None:
    """When a picture was taken; a time without an offset is taken as UTC, as it is where pictures are searched."""
    try:
        return from_datetime(datetime.fromisoformat(captured_at)) if captured_at is not None else None
    except (ValueError, OverflowError):
        return None
