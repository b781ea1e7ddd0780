"""What the server says of itself to anybody: that it lives, that it is ready, and what is mounted."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from pinakes import __version__
from pinakes.core.archive import Archive
from pinakes.core.db import migrate
from pinakes.core.errors import PinakesError
from pinakes.web.bridge import Bridge
from pinakes.web.mounts import Mount
from pinakes.web.resource import Resource

_FRESH_SECONDS = 2.0
_OK = "ok"
_FAILED = "failed"

Answer = Callable[[], Awaitable[Response]]


def _json(value: Any, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(value), status, headers={"Cache-Control": "no-store"}, media_type="application/json"
    )


def _resource(answer: Answer) -> ASGIApp:
    """An application of one path, its root, that answers GET. Everything below it is not found."""

    async def get(request: Request) -> Response:
        return await answer() if request.scope["path"] == "/" else _json({"detail": "Not Found"}, 404)

    def refuse(_: Request, allow: str) -> Response:
        response = _json({"detail": "Method Not Allowed"}, 405)
        response.headers["Allow"] = allow
        return response

    def fail(_: Request, error: Exception) -> Response:
        return _json({"detail": "Internal Server Error"}, 503 if isinstance(error, PinakesError) else 500)

    return Resource({"GET": get}, method_not_allowed=refuse, on_error=fail)


def health() -> ASGIApp:
    """`/healthz`: this process answers. It asks nobody else, or servers would be restarted for a dead database."""

    async def answer() -> Response:
        return _json({"status": _OK})

    return _resource(answer)


def index(mounts: Iterable[Mount]) -> ASGIApp:
    """`/`: what is mounted where."""
    listed = [{"name": mount.name, "paths": mount.paths, "host": mount.host} for mount in mounts]

    async def answer() -> Response:
        return _json({"name": "Pinakes", "version": __version__, "apis": listed})

    return _resource(answer)


class Readiness:
    """`/readyz`: the database answers and has this program's schema, and the content store takes objects; else 503.

    A result is good for two seconds and found once for all who ask meanwhile: asking costs the archive nothing more,
    however often strangers do.
    """

    def __init__(self, archive: Archive, bridge: Bridge) -> None:
        self._archive = archive
        self._bridge = bridge
        self._lock = asyncio.Lock()
        self._checks: dict[str, str] = {}
        self._found_at = float("-inf")
        self.resource = _resource(self._answer)

    async def _answer(self) -> Response:
        async with self._lock:
            if time.monotonic() - self._found_at > _FRESH_SECONDS:
                self._checks = await self._bridge.thread(self._check)
                self._found_at = time.monotonic()
        is_ready = all(result == _OK for result in self._checks.values())
        return _json({"status": _OK if is_ready else _FAILED, "checks": self._checks}, 200 if is_ready else 503)

    def _check(self) -> dict[str, str]:
        return {
            "database": _result(self._ask_database),
            "schema": _result(self._compare_schema),
            "store": _result(self._archive.store.check),
        }

    def _ask_database(self) -> None:
        with self._archive.database.read() as connection:
            connection.execute(text("SELECT 1"))

    def _compare_schema(self) -> None:
        if migrate.current(self._archive.database) != migrate.REVISION:
            raise PinakesError


def _result(check: Callable[[], None]) -> str:
    try:
        check()
    except PinakesError:
        return _FAILED
    return _OK
