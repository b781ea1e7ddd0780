"""Calling an ASGI application without a server."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Scope

GONE: Message = {"type": "http.disconnect"}


def http_scope(
    method: str = "GET",
    path: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    *,
    query: str = "",
    client: str = "192.0.2.7",
) -> Scope:
    """A scope as Granian makes it; `path` is the raw, percent-encoded one."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": (client, 4711),
        "server": ("127.0.0.1", 8000),
    }


def body(*pieces: bytes) -> list[Message]:
    """The messages of a body in these pieces, ended as Granian ends it: by an empty one."""
    more: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    return [*more, {"type": "http.request", "body": b"", "more_body": False}]


class Incoming:
    """A `receive` that gives these messages, and then waits; `asked` counts how often it was called."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self.messages = list(messages)
        self.asked = 0

    async def __call__(self) -> Message:
        self.asked += 1
        if self.messages:
            return self.messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError


@dataclass
class Result:
    """What an application sent. is_complete: the body came to its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_complete: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Outgoing:
    """A `send` that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def result(self) -> Result:
        start, *bodies = self.messages
        assert start["type"] == "http.response.start"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        content = b"".join(message["body"] for message in bodies)
        is_complete = bool(bodies) and not bodies[-1].get("more_body", False)
        return Result(start["status"], headers, content, is_complete)


def call(app: ASGIApp, scope: Scope, messages: Iterable[Message] | Incoming = ()) -> Result:
    """Run one request to its end."""
    incoming = messages if isinstance(messages, Incoming) else Incoming(messages or body())
    outgoing = Outgoing()
    asyncio.run(_within(app, scope, incoming, outgoing))
    return outgoing.result


async def _within(app: ASGIApp, scope: Scope, incoming: Incoming, outgoing: Outgoing) -> None:
    async with asyncio.timeout(10):
        await app(scope, incoming, outgoing)
