"""Bodies on their way out: stored content, and answers that are made while they are sent.

Granian 2.8.7 does not tell by `send` that the client has left, and often completes it without giving other tasks a
turn; so `receive` is watched and the loop given a turn every few pieces. A body that cannot be completed is left
without its end: the server then cuts the connection, and the client sees that it is short.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pinakes.core.content.store import Reader
from pinakes.web.bridge import Bridge, settled
from pinakes.web.faults import log_fault
from pinakes.web.ranges import PreconditionFailed, RangeUnsatisfiable, Selection

log = logging.getLogger(__name__)

STALL_SECONDS: Final = 120.0
"""How long a client may take nothing before the connection is given up."""

_INLINE_BYTES: Final = 256 * 1024
_THREAD_BYTES: Final = 1024 * 1024
_PIECES_PER_TURN: Final = 4


class ShortContent(Exception):
    """A stored object ended before its size, or a made answer differs from its announced length."""


class Source(Protocol):
    """Where the pieces of a body come from. `begin` is called again only when what it returned is done."""

    def begin(self) -> "bytes | asyncio.Future[bytes]":
        """The next piece, or the future of it; b"" at the end."""

    def close(self) -> None: ...


class ContentSource:
    """A range of stored content: read in the event loop while the pages are in memory, else in threads."""

    def __init__(self, reader: Reader, bridge: Bridge, offset: int, length: int) -> None:
        self._reader = reader
        self._bridge = bridge
        self._offset = offset
        self._end = offset + length

    def begin(self) -> "bytes | asyncio.Future[bytes]":
        remaining = self._end - self._offset
        if remaining == 0:
            return b""
        piece = self._reader.read_now(self._offset, min(_INLINE_BYTES, remaining))
        if not piece:
            return self._bridge.transfer(self._read, min(_THREAD_BYTES, remaining))
        self._offset += len(piece)
        return piece

    def close(self) -> None:
        self._reader.close()

    def _read(self, length: int) -> bytes:
        piece = self._reader.read_at(self._offset, length)
        self._offset += len(piece)
        return piece


class IteratorSource:
    """Pieces of an iterator that blocks or computes: each is made in a thread."""

    def __init__(self, pieces: Iterator[bytes], bridge: Bridge, on_close: Callable[[], object] | None = None) -> None:
        self._pieces = pieces
        self._bridge = bridge
        self._on_close = on_close

    def begin(self) -> "asyncio.Future[bytes]":
        return self._bridge.transfer(self._next)

    def close(self) -> None:
        end = getattr(self._pieces, "close", None)
        if end is not None:
            end()
        if self._on_close is not None:
            self._on_close()

    def _next(self) -> bytes:
        return next((piece for piece in self._pieces if piece), b"")


class SourceResponse(Response):
    """An answer whose body comes from a source, which it closes in any case, also when nothing of it is sent.

    length: the exact length in bytes; None sends it chunked.
    """

    def __init__(
        self,
        source: Source,
        length: int | None,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        super().__init__(None, status_code, headers, media_type)
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        if length is not None:
            self.raw_headers.append((b"content-length", str(length).encode("ascii")))
        self._source = source
        self._length = length
        self._stall_seconds = stall_seconds

    def close(self) -> None:
        """Let go of the source; for an answer that is not sent after all."""
        self._source.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        try:
            if scope["method"] == "HEAD" or self._length == 0:
                await send(start)
                await send({"type": "http.response.body", "body": b""})
                return
            first = await _ready(self._source.begin())  # what fails here can still be answered with an error
            await send(start)
            await self._send_watched(first, receive, send)
        finally:
            self._source.close()

    async def _send_watched(self, first: bytes, receive: Receive, send: Send) -> None:
        watch = asyncio.create_task(_disconnected(receive))
        try:
            await self._send_pieces(first, watch, send)
        except TimeoutError:
            log.info("a client took nothing for too long; its download was given up")
        except Exception as error:
            log_fault(log, "a download broke off", error)
        finally:
            watch.cancel()

    async def _send_pieces(self, piece: bytes, watch: "asyncio.Task[None]", send: Send) -> None:
        """Send piece after piece, the next being read meanwhile. Returns early if the client has left."""
        loop = asyncio.get_running_loop()
        sent = count = 0
        async with asyncio.timeout(self._stall_seconds) as deadline:
            while piece:
                sent += len(piece)
                if self._length is not None and sent > self._length:
                    raise ShortContent
                is_last = sent == self._length
                following = b"" if is_last else self._source.begin()
                try:
                    await send({"type": "http.response.body", "body": piece, "more_body": not is_last})
                finally:
                    # Never leave a thread behind that still reads from the source.
                    piece = await _ready(following)
                count += 1
                if count % _PIECES_PER_TURN == 0:
                    await asyncio.sleep(0)
                if watch.done():
                    return
                deadline.reschedule(loop.time() + self._stall_seconds)
        if self._length is None:
            await send({"type": "http.response.body", "body": b""})
        elif sent != self._length:
            raise ShortContent


class ContentResponse(SourceResponse):
    """Stored content, or the range of it from `offset`, `length` bytes long (to the end if None)."""

    def __init__(
        self,
        reader: Reader,
        bridge: Bridge,
        *,
        offset: int = 0,
        length: int | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        size = reader.size_bytes - offset if length is None else length
        super().__init__(
            ContentSource(reader, bridge, offset, size),
            size,
            status_code=status_code,
            headers=headers,
            media_type=media_type,
            stall_seconds=stall_seconds,
        )


async def respond_content(
    request: Request,
    selected: Selection,
    bridge: Bridge,
    open_reader: Callable[[], Reader],
    headers: Mapping[str, str],
    media_type: str,
) -> Response:
    """What was selected of stored content, or 304. A HEAD is no read of it.

    headers: beside those of the selection.   open_reader: called in a thread, for a GET alone.
    Raises PreconditionFailed, RangeUnsatisfiable, and what open_reader raises.
    """
    headers = {**selected.headers, **headers}
    match selected.status:
        case 304:
            return Response(None, 304, headers)
        case 412:
            raise PreconditionFailed
        case 416:
            raise RangeUnsatisfiable(headers["Content-Range"])
    if request.method == "HEAD":
        return Response(None, selected.status, {**headers, "Content-Length": str(selected.length)}, media_type)
    return ContentResponse(
        await bridge.thread(open_reader),
        bridge,
        offset=selected.offset,
        length=selected.length,
        status_code=selected.status,
        headers=headers,
        media_type=media_type,
    )


class StreamResponse(SourceResponse):
    """An answer made piece by piece by an iterator that runs in threads, one call at a time.

    content_length: the exact length where it is known beforehand; None sends it chunked.
    on_close: called once at the end, whatever happened (to close what the iterator reads from).
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        bridge: Bridge,
        *,
        content_length: int | None = None,
        on_close: Callable[[], object] | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        super().__init__(
            IteratorSource(pieces, bridge, on_close),
            content_length,
            status_code=status_code,
            headers=headers,
            media_type=media_type,
            stall_seconds=stall_seconds,
        )


async def _disconnected(receive: Receive) -> None:
    """Returns when the client has left. What it still sends of a body is dropped."""
    while (await receive())["type"] == "http.request":
        pass


async def _ready(piece: "bytes | asyncio.Future[bytes]") -> bytes:
    return piece if isinstance(piece, bytes) else await settled(piece)
