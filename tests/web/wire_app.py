"""An application on the tools of `pinakes.web`, run by a real Granian in `test_granian.py`.

What it saw of each request goes to standard error, one JSON object a line, for the tests to read.
"""

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from pinakes.core.content.store import new_key
from pinakes.core.content.stores.disk import DiskStore
from pinakes.core.content.uploads import Upload
from pinakes.core.errors import BadLogin, Invalid, PinakesError, StorageFull, TooLarge, UploadBroken
from pinakes.web.bridge import Bridge
from pinakes.web.download import ContentResponse, StreamResponse
from pinakes.web.exchange import Inbound
from pinakes.web.forms import read_form
from pinakes.web.jsonbody import respond_json
from pinakes.web.mounts import Mount, Mounts
from pinakes.web.ranges import select
from pinakes.web.resource import Resource
from pinakes.web.transfer import chunks, content_length, read_body, receive_into

STATUSES: dict[type[PinakesError], int] = {
    UploadBroken: 400,
    Invalid: 400,
    BadLogin: 403,
    TooLarge: 413,
    StorageFull: 507,
}
store = DiskStore(Path(os.environ["WIRE_STORE"]))
bridge = Bridge(inline=True)


def report(**facts: Any) -> None:
    sys.stderr.write(json.dumps(facts) + "\n")
    sys.stderr.flush()


def on_error(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500)
    report(path=request.url.path, error=type(error).__name__, sinks=SlowSink.inside)
    return respond_json({"error": type(error).__name__}, status)


class SlowSink:
    """A sink that takes its time and fails when told to.

    inside: how many threads are in one just now.
    """

    inside = 0

    def __init__(self, fails_at: int | None = None) -> None:
        self.count = 0
        self.fails_at = fails_at

    def write(self, piece: bytes | bytearray) -> None:  # noqa: ARG002
        SlowSink.inside += 1
        try:
            time.sleep(0.05)
            self.count += 1
            if self.count == self.fails_at:
                raise StorageFull
        finally:
            SlowSink.inside -= 1


async def put(request: Request) -> Response:
    """Store the body; its digest and size, and the key to get it by."""
    expected = content_length(request)
    with Upload(store, new_key(), max_bytes=None, expected_bytes=expected) as upload:
        await receive_into(request.receive, upload, bridge, expected_bytes=expected, idle_seconds=1.0)
        received = await bridge.thread(upload.finish)
        upload.state = upload.state.KEPT  # there is no database here
    return respond_json({"sha256": received.digest, "size": received.size_bytes, "key": received.key})


async def count(request: Request) -> Response:
    """Read the body, then say how long it was and in how many pieces it came."""
    sizes = [len(chunk) async for chunk in chunks(request.receive, idle_seconds=1.0)]
    return respond_json({"size": sum(sizes), "pieces": len(sizes), "thread": threading.current_thread().name})


async def small(request: Request) -> Response:
    return respond_json({"size": len(await read_body(request.receive, 1000))})


async def full(request: Request) -> Response:
    await receive_into(request.receive, SlowSink(fails_at=3), bridge)
    return Response(None, 204)


async def form(request: Request) -> Response:
    digest = hashlib.sha256()

    class Hash:
        def write(self, piece: bytes | bytearray) -> None:
            digest.update(piece)

    fields = await read_form(chunks(request.receive), request.headers.get("content-type", ""), lambda _: Hash(), bridge)
    return respond_json({"fields": fields, "sha256": digest.hexdigest()})


async def refuse(request: Request) -> Response:
    """Refuse without looking at the body."""
    raise BadLogin


async def hello(request: Request) -> Response:
    return respond_json({"hello": "world"})


async def get(request: Request) -> Response:
    reader = WatchedReader(store.open(request.path_params["key"]))
    chosen = select(request.method, request.headers, reader.size_bytes, '"tag"')
    if chosen.status not in (200, 206):
        reader.close()
        return Response(None, chosen.status, chosen.headers)
    return ContentResponse(
        reader,
        bridge,
        offset=chosen.offset,
        length=chosen.length,
        status_code=chosen.status,
        headers=chosen.headers,
        media_type="application/octet-stream",
        stall_seconds=float(request.query_params.get("stall", "120")),
    )


class WatchedReader:
    """A reader that reports how far it was read when it is closed, and can be made to break."""

    def __init__(self, inner: Any, breaks_at: int | None = None) -> None:
        self.inner = inner
        self.size_bytes: int = inner.size_bytes
        self.reached = 0
        self.breaks_at = breaks_at
        self.is_closed = False

    def read_at(self, offset: int, length: int) -> bytes:
        if self.breaks_at is not None and offset >= self.breaks_at:
            raise StorageFull
        piece: bytes = self.inner.read_at(offset, length)
        self.reached = offset + len(piece)
        return piece

    def read_now(self, offset: int, length: int) -> bytes | None:
        if self.breaks_at is not None:
            return None
        piece: bytes | None = self.inner.read_now(offset, length)
        self.reached = offset + len(piece or b"")
        return piece

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.inner.close()
            report(closed=True, reached=self.reached)


async def broken(request: Request) -> Response:
    reader = WatchedReader(store.open(request.path_params["key"]), breaks_at=int(request.query_params["at"]))
    return ContentResponse(reader, bridge)


async def stream(request: Request) -> Response:
    """Made pieces: `n` of 100,000 bytes, with their length announced if asked for, failing at `fail`."""
    number = int(request.query_params["n"])
    fail = int(request.query_params.get("fail", "-1"))

    def pieces() -> Iterator[bytes]:
        for index in range(number):
            if index == fail:
                raise RuntimeError("the patient's name is Secret")
            yield bytes([index % 256]) * 100_000

    length = 100_000 * number if "length" in request.query_params else None
    return StreamResponse(pieces(), bridge, content_length=length, on_close=lambda: report(closed=True))


async def crash(request: Request) -> Response:
    raise RuntimeError("the patient's name is Secret")


def not_allowed(request: Request, allow: str) -> Response:
    return respond_json({"error": "method"}, 405, {"Allow": allow})


def resource(**handlers: Any) -> Resource:
    return Resource(handlers, method_not_allowed=not_allowed, on_error=on_error)


class Crashing:
    """An application that does not catch its own faults."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002
        assert isinstance(receive, Inbound)
        raise RuntimeError("the patient's name is Secret")


api = Router(
    [
        Route("/put", resource(POST=put, PUT=put)),
        Route("/count", resource(POST=count)),
        Route("/small", resource(POST=small)),
        Route("/full", resource(POST=full)),
        Route("/form", resource(POST=form)),
        Route("/refuse", resource(POST=refuse, GET=refuse, DELETE=refuse)),
        Route("/hello", resource(GET=hello, DELETE=hello)),
        Route("/get/{key}", resource(GET=get)),
        Route("/broken/{key}", resource(GET=broken)),
        Route("/stream", resource(GET=stream)),
        Route("/crash", resource(GET=crash)),
    ],
    redirect_slashes=False,
)
app = Mounts(
    [Mount(api, "/api", None, "api"), Mount(Crashing(), "/crashing", None, "crashing")],
    on_start=[lambda: report(started=True)],
    on_stop=[bridge.close, lambda: report(stopped=True)],
)
