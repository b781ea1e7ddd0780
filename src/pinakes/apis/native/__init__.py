"""Pinakes' own API: machine images with everything that is done to them, and what no other protocol has words for."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes.web.api import Api, ApiContext


def create(context: ApiContext) -> ASGIApp:
    """The application, over an archive. It is put together when it is first asked for."""
    return _Deferred(context)


class _Deferred:
    """Builds the application at the first request: FastAPI takes half a second, which a server's start is spared."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._app: ASGIApp | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            async with self._lock:
                if self._app is None:
                    self._app = await self._context.bridge.thread(_build, self._context)
        await self._app(scope, receive, send)


def _build(context: ApiContext) -> ASGIApp:
    from pinakes.apis.native.app import create as build

    return build(context)


API = Api(name="native", default_path="/pinakes/v1", create=create)
