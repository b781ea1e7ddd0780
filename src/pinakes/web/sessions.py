"""Sessions of browsers: a token in a cookie, and the requests it counts for.

    Set-Cookie: __Host-pinakes-session=<token>; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure

A browser sends a cookie along with whatever it is made to ask. What only looks may be asked by any page, since none of
another origin can read the answer (`cors`). What changes something must come from a page of our own origin, as the
browser says in headers that no page can set. SameSite alone would let in our neighbours: other ports, and other names
of the domain. Over plain HTTP the cookie has neither `Secure` nor the prefix, with which browsers would not take it.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pinakes.core.errors import Unauthenticated
from pinakes.web.origin import Origins

_NAME: Final = "pinakes-session"
_SECURE_NAME: Final = f"__Host-{_NAME}"
"""Browsers take a cookie of such a name only over HTTPS, and only from this very host."""

_LOOKING: Final = frozenset({"GET", "HEAD"})


def cookie_name(*, is_secure: bool) -> str:
    return _SECURE_NAME if is_secure else _NAME


def session_of(request: Request, origins: Origins) -> str | None:
    """The token in the cookie; None without one.

    Raises Unauthenticated for one that comes with a change, unless that is proven to come from a page of our own.
    """
    if "cookie" not in request.headers:
        return None
    token = _cookie(request, cookie_name(is_secure=_is_secure(request, origins)))
    if token is not None and request.method not in _LOOKING and not is_from_own_page(request, origins):
        raise Unauthenticated(
            "A session changes something only from a page of the archive itself: Sec-Fetch-Site must be same-origin, "
            "or Origin the archive's own. Programs show a token in the Authorization header."
        )
    return token


def is_from_own_page(request: Request, origins: Origins) -> bool | None:
    """Whether a page of our own origin asks, as its browser says; None where nothing is said, as by programs."""
    sites = request.headers.getlist("sec-fetch-site")
    if sites:
        return sites == ["same-origin"]
    named = request.headers.getlist("origin")
    return named == [origins.web_origin(request.scope)] if named else None


def begin(response: Response, request: Request, origins: Origins, token: str, seconds: int) -> None:
    """Have the browser keep a session's token, for so many seconds."""
    is_secure = _is_secure(request, origins)
    name = cookie_name(is_secure=is_secure)
    response.set_cookie(name, token, max_age=seconds, secure=is_secure, httponly=True, samesite="strict")


def end(response: Response, request: Request, origins: Origins) -> None:
    """Have the browser forget it."""
    begin(response, request, origins, "", 0)


def _is_secure(request: Request, origins: Origins) -> bool:
    return origins.web_origin(request.scope).startswith("https://")


def _cookie(request: Request, name: str) -> str | None:
    """The value of a cookie that is given once: of two, one may be a neighbour's."""
    pairs = [pair.strip() for line in request.headers.getlist("cookie") for pair in line.split(";")]
    values = [value for pair in pairs if (value := pair.removeprefix(f"{name}=")) != pair]
    return values[0] if len(values) == 1 else None
