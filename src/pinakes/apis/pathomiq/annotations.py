"""The annotations of an image: sending a version, and reading versions as XML and as GeoJSON (pathomiq contract 4.12,
4.13; the aliases are those of section 9).
"""

import re
from collections.abc import Callable, Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.pathomiq.auth import Callers
from pinakes.apis.pathomiq.bodies import Answers, image_ref_of, user_id_of
from pinakes.apis.pathomiq.errors import BodyTypeUnsupported, PathUnknown
from pinakes.core.actor import Actor, Permission
from pinakes.core.annotations.formats import XML_FORMATS, Format
from pinakes.core.annotations.records import Annotation
from pinakes.core.annotations.uploads import AnnotationUpload
from pinakes.core.errors import InvalidFields
from pinakes.core.slides.records import Slide
from pinakes.web.api import ApiContext
from pinakes.web.aside import respond_made
from pinakes.web.disposition import attachment
from pinakes.web.download import respond_content
from pinakes.web.forms import FilePart, read_form
from pinakes.web.paging import parse_id
from pinakes.web.ranges import is_unchanged, select
from pinakes.web.transfer import chunks, content_length

_FILE = "upload_file"
_FORM_OVERHEAD_BYTES = 64 * 1024
_NAME = re.compile(r"([0-9a-f]{32})_complete_net_prediction\.(xml|geojson)")


class Annotations:
    """`/Annotations/upload`, `/S3/raw/:name` and `/Images/metric/:id`."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._bridge = context.bridge
        self._scratch = context.scratch
        self._slides = context.archive.slides
        self._annotations = context.archive.annotations
        self._slide_annotations = context.archive.slide_annotations
        self._callers = callers
        self._answers = answers

    async def create(self, request: Request) -> Response:
        """Take a new version. It is read while it comes in; which image it is of is known when the form has ended."""
        actor = await self._callers.permitted(request, Permission.WRITE)
        content_type = request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
            raise BodyTypeUnsupported("The annotation must be sent as multipart/form-data.")
        announced = content_length(request)
        if announced is not None:
            await self._bridge.quick(self._annotations.admit, max(0, announced - _FORM_OVERHEAD_BYTES))
        body = chunks(request.receive, max_bytes=self._annotations.max_bytes + _FORM_OVERHEAD_BYTES)
        files = _FormFile(lambda: self._annotations.receive(XML_FORMATS))
        try:
            fields = await read_form(body, content_type, files.begin, self._bridge, file_fields={_FILE})
            slide, annotation = await self._bridge.thread(self._upload, request, actor, fields, files.upload)
        finally:
            await self._bridge.thread(files.discard)
        return self._answers.json(
            {
                "success": True,
                "status": "Done",
                "version": annotation.number,
                "metric": slide.metric,
                "image": self._answers.image(request, slide),
            }
        )

    async def download(self, request: Request) -> Response:
        """A version, the newest unless another is asked for. A HEAD is no read of it."""
        match = _NAME.fullmatch(request.path_params["name"])
        if match is None:
            raise PathUnknown
        uid, suffix = match.groups()
        number = _version(request)
        actor, annotation = await self._callers.glance(
            request, lambda actor: (actor, self._slide_annotations.get(actor, uid, number))
        )
        headers = {
            "Content-Disposition": attachment(match[0]),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
            "X-Annotation-Version": str(annotation.number),
            "X-Annotation-Source": annotation.source.value,
        }
        # What was sent in the other format is made into the one asked for; XML of either dialect stays as it is (4.12).
        wanted = Format.APERIO if suffix == "xml" else Format.GEOJSON
        answer = self._sent if annotation.media_type == wanted.media_type else self._made
        return await answer(request, actor, annotation, wanted, headers)

    async def metric(self, request: Request) -> Response:
        """The metric alone: a string that holds JSON, or null (contract 9)."""
        ref = image_ref_of({"imageid": request.path_params["image"]})
        slide = await self._callers.glance(request, lambda actor: self._slides.get(actor, ref))
        return self._answers.json(slide.metric)

    # -- In a thread ----------------------------------------------------------------------------------------------

    def _upload(
        self, request: Request, actor: Actor, fields: Mapping[str, str], upload: AnnotationUpload | None
    ) -> tuple[Slide, Annotation]:
        ref = self._ref(actor, fields.get("imageid", ""), _file_id(request, fields))
        author_id = user_id_of(fields["userid"]) if fields.get("userid") else None
        if upload is None:
            raise InvalidFields.one(_FILE, "is required")
        return self._answers.explained(
            request,
            actor,
            ref,
            lambda: self._slide_annotations.upload(actor, ref, upload, author_id=author_id),
        )

    def _ref(self, actor: Actor, image_id: str, file_id: str) -> str | int:
        """The image named by either or both. Raises InvalidFields if neither does, or they name two."""
        if not image_id and not file_id:
            raise InvalidFields.one("imageid", "or fileid is required")
        if not image_id:
            return file_id
        ref = image_ref_of({"imageid": image_id})
        if file_id and self._slides.find(actor, ref).uid != file_id:
            raise InvalidFields.one("fileid", "is not the unique id of the image that imageid names")
        return ref

    # -- Answers --------------------------------------------------------------------------------------------------

    async def _sent(
        self, request: Request, actor: Actor, annotation: Annotation, wanted: Format, headers: Mapping[str, str]
    ) -> Response:
        """The file as it was sent, or the range of it that is asked for."""
        selected = select(request.method, request.headers, annotation.size_bytes, f'"{annotation.digest}"')
        open_reader = partial(self._slide_annotations.open, actor, annotation)
        return await respond_content(request, selected, self._bridge, open_reader, headers, wanted.media_type)

    async def _made(
        self, request: Request, actor: Actor, annotation: Annotation, wanted: Format, headers: Mapping[str, str]
    ) -> Response:
        """The same, made on request. Its tag changes when what was sent or the way it is made does."""
        tag = f'"{annotation.digest}-{wanted.revision}"'
        headers = {**headers, "ETag": tag, "Content-Type": wanted.media_type}
        if is_unchanged(request.method, request.headers, tag):
            return Response(None, 304, headers)
        if request.method == "HEAD":
            return Response(None, 200, headers)
        make = partial(self._slide_annotations.written, actor, annotation, wanted)
        return await respond_made(make, self._scratch, self._bridge, headers)


class _FormFile:
    """The one file of a form. receive: begins an upload."""

    def __init__(self, receive: Callable[[], AnnotationUpload]) -> None:
        self._receive = receive
        self.upload: AnnotationUpload | None = None

    def begin(self, part: FilePart) -> AnnotationUpload | None:
        """In a thread, when a file of the form begins. Raises InvalidFields for a second one, StorageFull."""
        if part.name != _FILE:
            return None
        if self.upload is not None:
            raise InvalidFields.one(_FILE, "can only be given once")
        self.upload = self._receive()
        return self.upload

    def discard(self) -> None:
        """Leave nothing behind that became no version."""
        if self.upload is not None:
            self.upload.discard()


def _file_id(request: Request, fields: Mapping[str, str]) -> str:
    """The uid in the form, or in the path of the alias, whose second part says of which type the file is."""
    if request.path_params.get("type", "xml").lower() != "xml":
        raise InvalidFields.one("type", "must be xml")
    return fields.get("fileid") or request.path_params.get("image", "")


def _version(request: Request) -> int | None:
    """The version asked for, None for the newest. Raises InvalidFields."""
    text = request.query_params.get("version")
    if text is None:
        return None
    if (number := parse_id(text)) is None:
        raise InvalidFields.one("version", "must be a number from 1 on")
    return number
