"""The content of a version: sent once, then handed out as often as it is asked for, whole or in ranges."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers, reading_machines
from pinakes.apis.native.errors import BodyUnsupported
from pinakes.apis.native.models import versions as models
from pinakes.apis.native.models.values import PathId
from pinakes.apis.native.operations import Operation, binary_answer, binary_body
from pinakes.core.actor import Actor
from pinakes.core.catalogue.records import Version
from pinakes.core.content.uploads import Upload
from pinakes.core.errors import ContentMissing, Invalid
from pinakes.web.api import ApiContext
from pinakes.web.digests import claimed_sha256, repr_digest
from pinakes.web.disposition import attachment
from pinakes.web.download import respond_content
from pinakes.web.ranges import select
from pinakes.web.transfer import content_length, receive_into

MEDIA_TYPE = "application/octet-stream"

_ENDINGS = {"tiff": "tif", "unknown": "bin", "raw": "img"}


class Contents:
    """`/vm-images/{image_id}/versions/{version_id}/content`"""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._bridge = context.bridge
        self._content = context.archive.content
        self._registration = context.archive.registration
        self._versions = context.archive.versions
        self._imports = context.archive.imports
        self._callers = callers

    def operations(self, path: str) -> Sequence[Operation]:
        return [
            Operation(
                "GET",
                path,
                self.get,
                "content",
                errors=(412, 416),
                answers={200: binary_answer("All of it."), 206: binary_answer("A range."), 304: _UNCHANGED},
                extra=_RANGE,
            ),
            Operation(
                "PUT",
                path,
                self.put,
                "content",
                errors=(409, 413, 415, 507),
                extra=binary_body("application/octet-stream", parameters=_DIGESTS),
            ),
        ]

    async def put(self, request: Request, image_id: PathId, version_id: PathId) -> models.Version:
        """Send the content of a version, as it is, once.

        It is streamed; a transfer that breaks off leaves nothing and is begun anew. The checksum is compared if a
        header gives it.
        """

        def judge(actor: Actor) -> Actor:
            self._registration.check_pending(actor, image_id, version_id)
            return actor

        actor = await self._callers.glance(request, judge)
        if "content-encoding" in request.headers:
            raise BodyUnsupported("Content is taken as it is, without a Content-Encoding.")
        if "content-range" in request.headers:
            raise Invalid("Content is sent whole, without a Content-Range.")
        claimed = claimed_sha256(request.headers)
        announced = content_length(request)
        if announced == 0:
            raise ContentMissing
        upload = await self._bridge.thread(self._content.receive, announced)
        try:
            await receive_into(request.receive, upload, self._bridge, expected_bytes=announced)
            shown = await self._bridge.thread(self._keep, actor, image_id, version_id, upload, claimed)
        finally:
            await self._bridge.thread(upload.discard)
        return shown

    def _keep(
        self, actor: Actor, image_id: int, version_id: int, upload: Upload, claimed: str | None
    ) -> models.Version:
        """In a thread: make the bytes durable, then the version's."""
        upload.finish()
        self._registration.fill(actor, image_id, version_id, upload, claimed_digest=claimed)
        fetched = self._imports.of_versions([version_id])
        return representation.version(self._versions.get(actor, version_id), fetched.get(version_id))

    async def get(self, request: Request, image_id: PathId, version_id: PathId) -> Response:
        """Take the content of a version out, all of it or a range."""

        def look(actor: Actor) -> tuple[Actor, Version]:
            return actor, self._registration.content(reading_machines(actor), image_id, version_id)

        actor, version = await self._callers.glance(request, look)
        selected = select(
            request.method, request.headers, version.size_bytes, f'"{version.digest}"', version.created_at
        )
        ending = _ENDINGS.get(version.format, version.format)
        headers = {
            "Cache-Control": "private, no-cache",
            "Content-Disposition": attachment(f"{image_id}-{version.name}.{ending}"),
            "Repr-Digest": repr_digest(version.digest),
            "X-Content-Type-Options": "nosniff",
        }
        open_reader = partial(self._registration.open, actor, image_id, version)
        return await respond_content(request, selected, self._bridge, open_reader, headers, MEDIA_TYPE)


_UNCHANGED: dict[str, Any] = {"description": "It is what the client has."}
_RANGE: dict[str, Any] = {
    "parameters": [
        {"name": "Range", "in": "header", "schema": {"type": "string"}, "description": "Such as `bytes=0-99`."}
    ]
}
_DIGESTS: list[dict[str, Any]] = [
    {
        "name": "Repr-Digest",
        "in": "header",
        "schema": {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$"},
        "description": "The SHA-256 of the content (RFC 9530); also as `Content-Digest`.",
    },
    {
        "name": "X-Checksum-Sha256",
        "in": "header",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "description": "The same in hex.",
    },
]
