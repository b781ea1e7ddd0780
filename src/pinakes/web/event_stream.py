"""Server-sent events: an answer that goes on as long as there is something to tell, or the client leaves."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE: Final = "text/event-stream"

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # proxies that gather answers would hold each event back
}


def event(name: str, data: str) -> bytes:
    """One event. data: on one line, as JSON is."""
    return f"event: {name}\ndata: {data}\n\n".encode()


HEARTBEAT: Final = b":\n\n"
"""A comment, which tells proxies and clients that the connection lives."""


class EventStream(Response):
    """events: whole ones, as `event` makes them.   on_close: called once at the end, whatever happened."""

    def __init__(self, events: AsyncGenerator[bytes], on_close: Callable[[], object]) -> None:
        super().__init__(None, 200, _HEADERS, MEDIA_TYPE)
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self._events = events
        self._on_close = on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._send_watched(receive, send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            try:
                await self._events.aclose()
            finally:
                self._on_close()

    async def _send_watched(self, receive: Receive, send: Send) -> None:
        """Returns at the end of the events, or when the client has left."""
        left = asyncio.create_task(_disconnected(receive))
        try:
            while not left.done():
                coming = asyncio.ensure_future(anext(self._events, None))
                try:
                    await asyncio.wait((coming, left), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not coming.done():
                        coming.cancel()
                        with suppress(asyncio.CancelledError):
                            await coming
                if coming.cancelled() or (piece := coming.result()) is None:
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            left.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] == "http.request":
        pass
