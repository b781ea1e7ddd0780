"""The upload of a slide: a form posted with a policy, as to an S3 bucket (pathomiq contract, section 5).

    /S3/<bucket>    POST a multipart form. The policy in it is the credential; Authorization headers mean nothing here.

The order of judgements is that of the table in 5.5. What needs nothing but the head of the request comes before its
body is wanted, what needs the fields before the file is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.pathomiq.auth import API_NAME
from pinakes.apis.pathomiq.postform import MAX_FIELDS_BYTES, PostFormReader
from pinakes.apis.pathomiq.s3errors import (
    MEDIA_TYPE,
    BodyTypeRefused,
    BucketUnknown,
    document,
    fault_of,
    method_not_allowed,
    on_error,
)
from pinakes.core.actor import Actor
from pinakes.core.errors import PinakesError, UploadBroken
from pinakes.core.presigned.forms import PostForm
from pinakes.core.presigned.refusals import Code, refuse
from pinakes.core.slides.transfers import Transfer
from pinakes.web.api import ApiContext
from pinakes.web.feed import Feed
from pinakes.web.forms import boundary_of
from pinakes.web.resource import Resource
from pinakes.web.transfer import chunks, content_length

_ACTOR: Final = Actor(API_NAME)
_FORM_BYTES: Final = MAX_FIELDS_BYTES + 1024 * 1024  # what a form may hold beside its file
_FIELDS_SECONDS: Final = 120.0
_INTERNAL_ERROR: Final = document("Error", {"Code": "InternalError", "Message": "Something went wrong."})
_SAFE_IN_URL: Final = ":/?#[]@!$&'()*+,;=%"


class Uploads:
    """The bucket into which slides are posted."""

    def __init__(self, context: ApiContext) -> None:
        self._uploads = context.archive.slide_uploads
        self._bridge = context.bridge
        self._origins = context.origins
        self.resource = Resource(
            {"POST": self.post},
            method_not_allowed=method_not_allowed,
            on_error=on_error,
            options_status=None,
            internal_error=_INTERNAL_ERROR,
        )

    async def post(self, request: Request) -> Response:
        bucket = request.path_params["bucket"]
        if bucket != self._uploads.bucket:
            raise BucketUnknown
        content_type = request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
            raise BodyTypeRefused
        announced = content_length(request)
        if announced is not None and announced > self._uploads.max_bytes + _FORM_BYTES:
            raise refuse(Code.ENTITY_TOO_LARGE, ProposedSize=announced, MaxSizeAllowed=self._uploads.max_bytes)
        reader = PostFormReader(boundary_of(content_type))
        body = chunks(request.receive, max_bytes=self._uploads.max_bytes + _FORM_BYTES)
        async with _limited(_FIELDS_SECONDS):
            form = await _read_fields(body, reader)
        etag = await self._receive(body, reader, form, announced)
        return _answer(form, f"{self._origins.base_url(request.scope)}/S3/{bucket}", bucket, etag)

    async def _receive(
        self, body: AsyncIterator[bytes], reader: PostFormReader, form: PostForm, announced: int | None
    ) -> str:
        """Take the file, or say in the slide's log why it was not taken; the ETag of what was staged."""
        await self._bridge.thread(self._uploads.authenticate, form)
        try:
            most = None if announced is None else max(0, announced - reader.offset)
            transfer = await self._bridge.thread(self._uploads.admit, _ACTOR, form, most)
            try:
                async with _limited(self._uploads.options.max_seconds):
                    await self._read_file(body, reader, transfer)
                return await self._bridge.thread(transfer.finish)
            finally:
                await self._bridge.thread(transfer.discard)
        except PinakesError as error:
            await self._bridge.thread(self._uploads.note_refusal, form.key, fault_of(error).code)
            raise

    async def _read_file(self, body: AsyncIterator[bytes], reader: PostFormReader, transfer: Transfer) -> None:
        """The rest of the body, of which the file is written to the transfer."""
        await self._bridge.thread(reader.begin_file, transfer)
        async with Feed(reader.feed, self._bridge) as feed:
            async for chunk in body:
                await feed.put(chunk)
        reader.close()


@asynccontextmanager
async def _limited(seconds: float) -> AsyncIterator[None]:
    """Raises UploadBroken if the block takes longer: a client must not hold on for ever, a byte at a time."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        raise UploadBroken("The upload took too long.") from exc


async def _read_fields(body: AsyncIterator[bytes], reader: PostFormReader) -> PostForm:
    """Read until the file begins."""
    async for chunk in body:
        reader.feed(chunk)
        if reader.form is not None:
            return reader.form
    reader.close()
    raise AssertionError  # a form without a file does not close


def _answer(form: PostForm, place: str, bucket: str, etag: str) -> Response:
    """What the form asks to be answered on success."""
    quoted = f'"{etag}"'
    location = f"{place}/{form.key}"
    headers = {"ETag": quoted, "Location": location}
    redirect = _redirect(form, bucket, quoted)
    if redirect is not None:
        return Response(None, 303, {**headers, "Location": redirect})
    match form.fields.get("success_action_status"):
        case "200":
            return Response(None, 200, headers)
        case "201":
            members = {"Location": location, "Bucket": bucket, "Key": form.key, "ETag": quoted}
            return Response(document("PostResponse", members), 201, headers, MEDIA_TYPE)
        case _:
            return Response(None, 204, headers)


def _redirect(form: PostForm, bucket: str, etag: str) -> str | None:
    """Where the browser is sent; None if the form does not say, or names no absolute address on the web."""
    target = form.fields.get("success_action_redirect") or form.fields.get("redirect")
    try:
        parts = urlsplit(target or "")
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return None
    if not is_web:
        return None
    added = f"bucket={bucket}&key={form.key}&etag={quote(etag, safe='')}"
    query = f"{parts.query}&{added}" if parts.query else added
    return quote(urlunsplit(parts._replace(query=query)), safe=_SAFE_IN_URL)
