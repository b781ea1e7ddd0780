"""Who asks: the `Authorization: Token <token>` header, and nothing else (contract A1 to A3)."""

import re

from starlette.requests import Request

from pinakes.core.access.credentials import Credentials
from pinakes.core.actor import Actor, Kind
from pinakes.core.errors import KindMissing, Unauthenticated

NAME = "tscharts"

SCOPE = Kind.CLINICAL
"""The kind of image this API shows, and whose users it lets in (DESIGN.md section 2)."""

_HEADER = re.compile(r"[ \t]*token[ \t]+([^ \t]+)[ \t]*", re.IGNORECASE)


def authenticate(credentials: Credentials, request: Request) -> Actor:
    """The caller, without staff rights: they do not count here (DESIGN.md section 2).

    Raises Unauthenticated, and KindMissing for a user who has nothing to do with the clinic (G17).
    """
    match = _HEADER.fullmatch(request.headers.get("authorization", ""))
    if match is None:
        raise Unauthenticated
    actor = credentials.actor(NAME, match[1])
    if not actor.has_kind(SCOPE):
        raise KindMissing
    return actor.as_plain_user() if actor.is_staff else actor
