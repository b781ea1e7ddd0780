"""One request and its answer on a connection that stays sane (DESIGN.md rule 12).

The answer goes out first; what the handler left of the request's body is then read and dropped, so that the client
can read the answer and a kept-alive connection starts the next request at its first byte. Granian 2.8.7 closes, with a
reset, a connection whose body was not read; `100 Continue` is sent only when `receive` is called before the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAIN_BYTES: Final = 64 * 1024 * 1024
DRAIN_SECONDS: Final = 120.0
DRAIN_IDLE_SECONDS: Final = 10.0

_EXPECT_IDLE_SECONDS: Final = 1.0
_KEY: Final = "pinakes.exchange"


class Inbound:
    """The `receive` of a request, which knows whether there is still something to be read.

    is_pending: the request has a body and its end has not been seen.   is_gone: the client left, or its body is broken.
    """

    __slots__ = ("_asked", "_receive", "declared_bytes", "expects_continue", "is_gone", "is_pending", "received_bytes")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._asked = False
        self.declared_bytes: int | None = None
        self.received_bytes = 0
        self.expects_continue = False
        self.is_gone = False
        # HTTP/2 announces a body by neither header.
        self.is_pending = not scope.get("http_version", "1.1").startswith("1")
        for name, value in scope["headers"]:
            if name == b"content-length":
                self.declared_bytes = content_length_of(value)
                self.is_pending = self.declared_bytes != 0
            elif name == b"transfer-encoding":
                self.is_pending = True
            elif name == b"expect":
                self.expects_continue = value.strip().lower() == b"100-continue"

    async def __call__(self) -> Message:
        self._asked = True
        message = await self._receive()
        if message["type"] == "http.request":
            self.received_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.is_pending = False
        else:
            self.is_pending = False
            self.is_gone = True
        return message

    @property
    def is_held_back(self) -> bool:
        """Whether the client waits for a 100 before it sends the body, and was not told to."""
        return self.is_pending and self.expects_continue and not self._asked

    @property
    def must_close(self) -> bool:
        """Whether the connection cannot be used again after an answer sent now."""
        if not self.is_pending:
            return False
        return self.is_held_back or (self.declared_bytes or 0) - self.received_bytes > DRAIN_BYTES

    async def drain(self) -> None:
        """Read and drop the rest of the body, within the limits.

        A client that was refused while it held its body back (RFC 9110 section 10.1.1) may send it all the same if it
        grew tired of waiting, so the connection lingers for a moment; `receive` no longer sends a 100 after the answer.
        """
        if self.is_pending:
            await drain(self, idle_seconds=_EXPECT_IDLE_SECONDS if self.is_held_back else DRAIN_IDLE_SECONDS)


class Outbound:
    """The `send` of a request: no body on HEAD, `Connection: close` where the connection cannot go on.

    added: headers that go with whatever is answered, besides the answer's own.
    """

    __slots__ = ("_inbound", "_is_head", "_is_http1", "_send", "added", "is_complete", "is_started")

    def __init__(self, scope: Scope, send: Send, inbound: Inbound) -> None:
        self._send = send
        self._inbound = inbound
        self._is_head = scope["method"] == "HEAD"
        self._is_http1 = scope.get("http_version", "1.1").startswith("1")
        self.is_started = False
        self.is_complete = False
        self.added: list[tuple[bytes, bytes]] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_started = True
            if self.added:
                message = {**message, "headers": [*message.get("headers", ()), *self.added]}
            if self._is_http1 and self._inbound.must_close:
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
        elif message["type"] == "http.response.body":
            if self._is_head:
                message = {**message, "body": b""}
            if not message.get("more_body", False):
                self.is_complete = True
        await self._send(message)


async def converse(
    scope: Scope, receive: Receive, send: Send, respond: Callable[[Inbound, Outbound], Awaitable[None]]
) -> None:
    """Let `respond` answer, then drain. Nested calls for one request share the outermost exchange."""
    outer: tuple[Inbound, Outbound] | None = scope.get(_KEY)
    if outer is not None:
        await respond(*outer)
        return
    inbound = Inbound(scope, receive)
    outbound = Outbound(scope, send, inbound)
    scope[_KEY] = (inbound, outbound)
    await respond(inbound, outbound)
    if outbound.is_complete:
        await inbound.drain()


async def call_app(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Call an application within an exchange of its own, or the one it is already in."""
    await converse(scope, receive, send, lambda inbound, outbound: app(scope, inbound, outbound))


async def drain(
    receive: Receive,
    max_bytes: int = DRAIN_BYTES,
    seconds: float = DRAIN_SECONDS,
    idle_seconds: float = DRAIN_IDLE_SECONDS,
) -> bool:
    """Read and drop the rest of a body, after the answer was sent; whether its end was reached.

    Stops after max_bytes, after `seconds` in all, or when nothing came for idle_seconds; the server then closes.
    """
    dropped = 0
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        async with asyncio.timeout_at(min(end, loop.time() + idle_seconds)) as deadline:
            while dropped <= max_bytes:
                message = await receive()
                if message["type"] != "http.request":
                    return False
                if not message.get("more_body", False):
                    return True
                dropped += len(message.get("body", b""))
                deadline.reschedule(min(end, loop.time() + idle_seconds))
    except TimeoutError:
        pass
    return False


def content_length_of(value: bytes) -> int | None:
    """The number in a Content-Length header, None if it is none."""
    text = value.strip()
    return int(text) if text.isdigit() and len(text) <= 20 else None
