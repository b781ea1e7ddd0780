"""/image/: clinical images, whose `data` comes and goes inside JSON (contract section 3)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.tscharts.endpoint import Asked, Endpoints
from pinakes.apis.tscharts.fields import Members
from pinakes.apis.tscharts.imagedata import DataSpool, text_length, text_pieces
from pinakes.core.actor import Actor, Permission
from pinakes.core.clinic.records.images import ClinicalImage, ClinicalType, Filter, NewClinicalImage, Order
from pinakes.core.content.store import Reader
from pinakes.core.errors import ImageUnknown, InvalidFields, TooLarge
from pinakes.web.api import ApiContext
from pinakes.web.download import StreamResponse
from pinakes.web.json_stream import Member, ObjectReader
from pinakes.web.jsonbody import respond_json
from pinakes.web.ranges import Condition, conditional
from pinakes.web.transfer import content_length, receive_into

_OTHER_BYTES = 64 * 1024  # everything in a create but `data`
_AT_ONCE_BYTES = 128 * 1024  # an image up to this size is answered in one piece


class ImageResource:
    """Images on the wire."""

    def __init__(self, context: ApiContext, endpoints: Endpoints) -> None:
        self._images = context.archive.clinical_images
        self._content = context.archive.content
        self._bridge = context.bridge
        self._scratch = context.scratch
        self._endpoints = endpoints
        self._most_bytes = context.max_json_bytes

    def get(self, asked: Asked) -> Response:
        return self._answer(asked, self._images.get(asked.actor, asked.id))

    def search(self, asked: Asked) -> Any:
        """Ids, or with `newest` one whole image; nothing found is 404 (I-S1 to I-S9)."""
        parameters = asked.parameters
        found_by = Filter(
            patient_id=parameters.id("patient"),
            clinic_id=parameters.id("clinic"),
            station_id=parameters.id("station"),
            type=parameters.choice("type", ClinicalType),
        )
        order = Order.NEWEST_FIRST if parameters.flag("sort") else Order.OLDEST_FIRST
        if parameters.flag("newest"):
            return self._answer(asked, self._images.newest(asked.actor, found_by))
        found = self._images.search(asked.actor, found_by, order)
        if not found:
            raise ImageUnknown
        return found

    def delete(self, asked: Asked) -> Any:
        self._images.delete(asked.actor, asked.id)
        return {}

    def refuse(self, asked: Asked) -> Any:  # noqa: ARG002
        """DELETE without an id is 400 (I-D3)."""
        raise InvalidFields.one("id", "is required")

    # -- Create -------------------------------------------------------------------------------------------------------

    async def create(self, request: Request) -> Response:
        """Who asks and how much is settled before the body is read, and `data` is never in memory whole."""
        actor = await self._endpoints.authenticate(request, Permission.WRITE)
        announced = content_length(request)
        self._admit(announced or 0)
        with DataSpool(self._scratch) as spool:
            reader = ObjectReader("data", spool, _OTHER_BYTES)
            await receive_into(
                request.receive, reader, self._bridge, expected_bytes=announced, max_bytes=self._most_bytes
            )
            image_id = await self._bridge.thread(self._store, actor, reader, spool)
        return respond_json({"id": image_id})

    def _admit(self, announced: int) -> None:
        """Raises TooLarge for a body beyond the limit, or one that even decoded does not fit on the disk (I-C9)."""
        if announced > self._most_bytes:
            raise TooLarge(self._most_bytes)
        self._content.admit(max(0, announced - _OTHER_BYTES) // 4 * 3)

    def _store(self, actor: Actor, reader: ObjectReader, spool: DataSpool) -> int:
        new = _new_image(Members(reader.close()), reader.kind)
        size = spool.finish()
        with self._content.receive(size) as upload:
            spool.copy_to(upload)
            upload.finish()
            return self._images.create(actor, replace(new, is_verbatim=spool.is_verbatim), upload)

    # -- Answers ------------------------------------------------------------------------------------------------------

    def _answer(self, asked: Asked, image: ClinicalImage) -> Response:
        """The whole image. Its content never changes, so a client that has it is told so (contract section 9)."""
        headers = {"ETag": f'"{image.version.uid}"'}
        if conditional(asked.request.method, asked.request.headers, headers["ETag"], None) is Condition.NOT_MODIFIED:
            return Response(None, 304, headers)
        reader = self._images.open(asked.actor, image)
        pieces = _pieces(image, reader)
        if image.version.size_bytes <= _AT_ONCE_BYTES:
            try:
                return Response(b"".join(pieces), headers=headers, media_type="application/json")
            finally:
                reader.close()
        return StreamResponse(
            pieces,
            self._bridge,
            content_length=_length(image),
            on_close=reader.close,
            headers=headers,
            media_type="application/json",
        )


def _new_image(members: Members, data: Member) -> NewClinicalImage:
    """Raises InvalidFields."""
    new = NewClinicalImage(
        patient_id=members.id("patient"),
        type=members.choice("type", ClinicalType),
        clinic_id=members.id("clinic") if "clinic" in members else None,  # clients leave it out (I-C1)
        station_id=members.id("station") if "station" in members else None,
    )
    if data is not Member.STRING:
        raise InvalidFields.one("data", "is required" if data is Member.ABSENT else "must be a string")
    return new


def _pieces(image: ClinicalImage, reader: Reader) -> Iterator[bytes]:
    head, tail = _around(image)
    yield head
    yield from text_pieces(image, reader)
    yield tail


def _length(image: ClinicalImage) -> int | None:
    length = text_length(image)
    return None if length is None else length + sum(map(len, _around(image)))


def _around(image: ClinicalImage) -> tuple[bytes, bytes]:
    """What stands before and after the text; members in the order of the documents' example."""
    after = {"clinic": image.clinic_id, "station": image.station_id, "type": image.type.value, "id": image.id}
    return b'{"patient":%d,"data":"' % image.patient_id, b'",' + msgspec.json.encode(after)[1:]
