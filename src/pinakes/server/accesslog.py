"""One log line a request: method, API, status, time, bytes. Never a path, a query, a header or an address.

Paths and queries hold ids and names of people; whoever has to know who did what asks the audit trail.
"""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("pinakes.access")

_KEY = "pinakes.access"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Record:
    """What is known of one request by its end."""

    __slots__ = ("api", "received_bytes", "sent_bytes", "status")

    def __init__(self) -> None:
        self.api = "-"
        self.status = 0
        self.received_bytes = 0
        self.sent_bytes = 0


class AccessLog:
    """Wraps the whole application of the server. Status 0: there was no answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = scope[_KEY] = _Record()
        start = time.perf_counter()

        async def receive_counted() -> Message:
            message = await receive()
            record.received_bytes += len(message.get("body", b""))
            return message

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            record.sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive_counted, send_counted)
        finally:
            log.info(
                "method=%s api=%s status=%d ms=%.1f received=%d sent=%d",
                scope["method"] if scope["method"] in _METHODS else "other",
                record.api,
                record.status,
                (time.perf_counter() - start) * 1000,
                record.received_bytes,
                record.sent_bytes,
            )


def named(api: str, app: ASGIApp) -> ASGIApp:
    """The application of an API, which notes its name for the access log if there is one."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        record: _Record | None = scope.get(_KEY)
        if record is not None:
            record.api = api
        await app(scope, receive, send)

    return call
