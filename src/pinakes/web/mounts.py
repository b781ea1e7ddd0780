"""Which API a request is for: by host name, else by the longest path prefix.

Works on the raw path, so that an encoded slash never becomes a separator. An API sees a path that begins after its
mount; `scope["pinakes.mount"]` tells where that is (see `origin`).
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes.core.errors import PinakesError
from pinakes.web.exchange import Inbound, Outbound, converse
from pinakes.web.faults import log_fault
from pinakes.web.origin import BY_HOST, MOUNT, TrustedProxies, external_host, host_name
from pinakes.web.paths import decoded, raw_path, routable

log = logging.getLogger(__name__)

Place = TypeVar("Place", str, tuple[str, ...])
Hook = Callable[[], Awaitable[None] | None]

_NOT_FOUND: Final = (404, b'{"detail":"Not Found"}')
_INTERNAL_ERROR: Final = (500, b'{"detail":"Internal Server Error"}')


@dataclass(frozen=True, slots=True)
class Mount:
    """An application and where it is found: at a path of every host, at the root of a host of its own, or both.

    path: begins with a slash; "" or "/" is the root.
    parts: where below the path it is found, such as ("/Users", "/S3"), if not everywhere below it; the application
    sees them as the beginning of its paths.   collapse_doubled: the path given twice counts as once (djinn
    contract 1.9).   loose_slashes: runs of slashes count as one, one at the end is ignored (tscharts contract G2, G3).
    """

    app: ASGIApp
    path: str | None
    host: str | None
    name: str
    collapse_doubled: bool = False
    loose_slashes: bool = False
    parts: tuple[str, ...] = ("",)

    @property
    def paths(self) -> list[str]:
        """Where it is found on every host."""
        return [] if self.path is None else [self.path + part for part in self.parts]


class Mounts:
    """The ASGI application of the server.

    on_start, on_stop: called in order with the server's lifespan; functions or coroutine functions.
    Raises ValueError if two mounts claim the same place.
    """

    def __init__(
        self,
        mounts: Iterable[Mount],
        *,
        on_start: Sequence[Hook] = (),
        on_stop: Sequence[Hook] = (),
        trusted: TrustedProxies | None = None,
    ) -> None:
        self._hosts: dict[str, Mount] = {}
        self._paths: dict[tuple[str, ...], Mount] = {}
        self._on_start = on_start
        self._on_stop = on_stop
        self._trusted = trusted or TrustedProxies()
        for mount in mounts:
            if mount.host is not None:
                _claim(self._hosts, host_name(mount.host), mount)
            for path in mount.paths:
                _claim(self._paths, _segments(path), mount)
        self._depth = max((len(prefix) for prefix in self._paths), default=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await converse(scope, receive, send, lambda inbound, outbound: self._serve(scope, inbound, outbound))
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, scope: Scope, inbound: Inbound, outbound: Outbound) -> None:
        child = self._child(scope)
        if child is None:
            await _refuse(outbound, _NOT_FOUND)
            return
        app, child_scope = child
        try:
            await app(child_scope, inbound, outbound)
        except Exception as error:
            log_fault(log, "an application failed", error)
            if not outbound.is_started:
                await _refuse(outbound, _INTERNAL_ERROR)

    def _child(self, scope: Scope) -> tuple[ASGIApp, Scope] | None:
        raw = raw_path(scope)
        if self._hosts:
            mount = self._hosts.get(host_name(external_host(scope, self._trusted)))
            if mount is not None:
                return mount.app, _child_scope(scope, mount, raw, prefix="", by_host=True)
        found = self._longest(raw)
        if found is None:
            return None
        mount, prefix, rest = found
        return mount.app, _child_scope(scope, mount, rest, prefix=prefix, by_host=False)

    def _longest(self, raw: bytes) -> tuple[Mount, str, bytes] | None:
        """The mount with the longest prefix of the path, the path it is mounted at, and the raw rest behind that."""
        best = self._paths.get(())
        parts: tuple[str, ...] = ()
        ends = [0]
        while len(parts) < self._depth and (step := _next_segment(raw, ends[-1])) is not None:
            parts += (step[0],)
            ends.append(step[1])
            best = self._paths.get(parts, best)
        if best is None or best.path is None:
            return None
        best_parts = _segments(best.path)
        best_end = ends[len(best_parts)]
        if best.collapse_doubled and best_parts:
            best_end = _skip(raw, best_end, best_parts)
        return best, "".join(f"/{part}" for part in best_parts), raw[best_end:]

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            for hook in self._on_start:
                await _call(hook)
        except Exception as error:
            log_fault(log, "the server cannot start", error)
            why = error.message if isinstance(error, PinakesError) else type(error).__name__
            await send({"type": "lifespan.startup.failed", "message": why})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for hook in self._on_stop:
            try:
                await _call(hook)
            except Exception as error:
                log_fault(log, "a part of the server did not stop cleanly", error)
        await send({"type": "lifespan.shutdown.complete"})


def _claim(table: dict[Place, Mount], place: Place, mount: Mount) -> None:
    other = table.setdefault(place, mount)
    if other is not mount:
        raise ValueError(f"{other.name} and {mount.name} are mounted at the same place")


def _segments(path: str) -> tuple[str, ...]:
    return tuple(segment for segment in path.split("/") if segment)


def _next_segment(raw: bytes, start: int) -> tuple[str, int] | None:
    """The next segment that is not empty, decoded, and where it ends; None at the end or if it cannot be read."""
    while start < len(raw) and raw[start] == 0x2F:
        start += 1
    if start == len(raw):
        return None
    end = raw.find(b"/", start)
    if end < 0:
        end = len(raw)
    part = decoded(raw[start:end])
    return None if part is None else (part, end)


def _skip(raw: bytes, start: int, parts: Sequence[str]) -> int:
    """The end of the same segments once more, or `start` if others follow."""
    end = start
    for part in parts:
        step = _next_segment(raw, end)
        if step is None or step[0] != part:
            return start
        end = step[1]
    return end


def _child_scope(scope: Scope, mount: Mount, rest: bytes, *, prefix: str, by_host: bool) -> Scope:
    raw = rest if rest.startswith(b"/") else b"/"
    path = routable(raw, loose_slashes=mount.loose_slashes)
    return {**scope, "path": path, "raw_path": raw, "root_path": "", MOUNT: prefix, BY_HOST: by_host}


async def _refuse(outbound: Outbound, answer: tuple[int, bytes]) -> None:
    status, body = answer
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await outbound({"type": "http.response.start", "status": status, "headers": headers})
    await outbound({"type": "http.response.body", "body": body})


async def _call(hook: Hook) -> None:
    result = hook()
    if inspect.isawaitable(result):
        await result
