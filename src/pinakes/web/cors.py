"""Letting pages of other web origins call an API (the CORS part of the Fetch standard).

Only origins that were allowed by name are answered, each with its own name; or any, where an API says so. Their pages
show a token in a header or a link in the address. Sessions are for pages of our own alone (`sessions`):
`Access-Control-Allow-Credentials` is never sent, so that no other page reads the answer to a cookie.
"""

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes.web.exchange import Inbound, Outbound, converse

_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_HEADERS: Final = b"Authorization, Content-Type"
_MAX_AGE_SECONDS: Final = 3600

ANY_ORIGIN: Final = "*"

Headers = list[tuple[bytes, bytes]]


class Cors:
    """An application that pages of the allowed origins may call.

    allowed_origins: such as `https://lab.example`, in lower case; or ANY_ORIGIN alone.
    allowed_headers: what a page may send beside `Authorization` and `Content-Type`.
    exposed_headers: what a page may read of an answer beside the few that it always may.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed_origins: Iterable[str],
        *,
        allowed_headers: Iterable[str] = (),
        exposed_headers: Iterable[str] = (),
    ) -> None:
        self._app = app
        self._origins = frozenset(origin.encode("ascii") for origin in allowed_origins)
        self._is_open = ANY_ORIGIN.encode("ascii") in self._origins
        self._allowed = b", ".join((_HEADERS, *(name.encode("ascii") for name in allowed_headers)))
        self._exposed = b", ".join(name.encode("ascii") for name in exposed_headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._origins or scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def respond(inbound: Inbound, outbound: Outbound) -> None:
            origin = _header(scope, b"origin")
            allowed = self._allowed_origin(origin)
            outbound.added += self._added(allowed)
            if allowed is not None and _is_preflight(scope):
                await self._preflight(outbound)
            else:
                await self._app(scope, inbound, outbound)

        await converse(scope, receive, send, respond)

    def _allowed_origin(self, origin: bytes | None) -> bytes | None:
        """What the answer says of who may read it: the origin that asks, or any; None for nobody."""
        if self._is_open:
            return ANY_ORIGIN.encode("ascii")
        return origin if origin is not None and origin.lower() in self._origins else None

    def _added(self, origin: bytes | None) -> Headers:
        """What goes with every answer. origin: the one that is allowed; None if the one that asks is not."""
        added: Headers = [] if self._is_open else [(b"vary", b"Origin")]
        if origin is not None:
            added.append((b"access-control-allow-origin", origin))
            if self._exposed:
                added.append((b"access-control-expose-headers", self._exposed))
        return added

    async def _preflight(self, send: Send) -> None:
        headers: Headers = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", self._allowed),
            (b"access-control-max-age", str(_MAX_AGE_SECONDS).encode("ascii")),
            (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
            (b"content-length", b"0"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and _header(scope, b"access-control-request-method") is not None


def _header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header given once."""
    values = [value for key, value in scope["headers"] if key == name]
    return values[0] if len(values) == 1 else None
