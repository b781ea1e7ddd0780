"""Bodies on their way in.

What Granian 2.8.7 makes of a body (tests/web/test_granian.py): a client that left, a body shorter than announced and
a malformed chunk are all `http.disconnect`; in the latter case the answer still reaches the client. Of Content-Length
together with Transfer-Encoding the latter counts, and the connection is closed; two different lengths never get here.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.types import Receive

from pinakes.core.errors import TooLarge, UploadBroken
from pinakes.web.bridge import Bridge
from pinakes.web.exchange import content_length_of
from pinakes.web.feed import Feed, Sink

IDLE_SECONDS: Final = 120.0
"""How long a client may send nothing in the middle of a body."""


async def receive_into(
    receive: Receive,
    upload: Sink,
    bridge: Bridge,
    *,
    expected_bytes: int | None = None,
    max_bytes: int | None = None,
    idle_seconds: float = IDLE_SECONDS,
) -> int:
    """Write a request's body to an upload; how many bytes it had.

    Receiving, hashing and writing overlap; about 3 MiB are on their way at a time. On return, also with an exception,
    no thread uses the upload any more. The caller finishes or discards it.
    Raises UploadBroken if the client left, stalled, or sent something else than expected_bytes; TooLarge beyond
    max_bytes; and what the upload raises (TooLarge, StorageFull, StoreUnavailable).
    """
    received = 0
    async with Feed(upload.write, bridge) as feed:
        async for chunk in chunks(receive, max_bytes=max_bytes, idle_seconds=idle_seconds):
            received += len(chunk)
            await feed.put(chunk)
        if expected_bytes is not None and received != expected_bytes:
            raise UploadBroken
    return received


async def chunks(
    receive: Receive, *, max_bytes: int | None = None, idle_seconds: float = IDLE_SECONDS
) -> AsyncIterator[bytes]:
    """The body as it comes, in pieces of any size but none empty.

    Raises UploadBroken if the client left or sent nothing for idle_seconds, TooLarge beyond max_bytes.
    """
    received = 0
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                message = await receive()
        except TimeoutError as exc:
            raise UploadBroken("The body stopped coming.") from exc
        if message["type"] != "http.request":
            raise UploadBroken
        chunk: bytes = message.get("body", b"")
        received += len(chunk)
        if max_bytes is not None and received > max_bytes:
            raise TooLarge(max_bytes)
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


async def read_body(receive: Receive, max_bytes: int, *, idle_seconds: float = IDLE_SECONDS) -> bytes:
    """A whole body in memory. Raises TooLarge beyond max_bytes, UploadBroken if it does not come to its end."""
    first = b""
    gathered: bytearray | None = None
    async for chunk in chunks(receive, max_bytes=max_bytes, idle_seconds=idle_seconds):
        if gathered is not None:
            gathered += chunk
        elif first:
            gathered = bytearray(first + chunk)
        else:
            first = chunk
    return first if gathered is None else bytes(gathered)


def content_length(request: Request) -> int | None:
    """What the request announces: its body's bytes, 0 without a body, None if it is chunked or does not say.

    Any size up to 20 digits: compare it with a limit before anything else.
    """
    headers = request.headers
    if "transfer-encoding" in headers:
        return None
    value = headers.get("content-length")
    if value is None:
        return 0 if request.scope.get("http_version", "1.1").startswith("1") else None
    return content_length_of(value.encode("latin-1"))
