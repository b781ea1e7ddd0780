"""Answers that pictures and documents have in common: addresses, conditions, how long they may be kept."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.iiif.auth import link_of
from pinakes.apis.iiif.identifiers import Identifier
from pinakes.core.actor import Actor
from pinakes.core.renditions.renditions import Rendition, Renditions
from pinakes.core.renditions.viewed import ViewedImage
from pinakes.core.renditions.wanted import RegionWanted
from pinakes.web.bridge import Later
from pinakes.web.origin import Origins
from pinakes.web.ranges import is_unchanged

PUBLIC_SECONDS: Final = 3600
"""How long anybody may keep a public picture without asking again."""

Answered: TypeAlias = Response | Later[Response]

_ALWAYS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
"""A view link is part of the address: no other site is to be told it."""


@dataclass(frozen=True, slots=True)
class Places:
    """The addresses that the answers to one request refer to.

    base: of the API.   seen_from: the same, for who came with a view link with the link in it.
    """

    base: str
    seen_from: str

    @classmethod
    def of(cls, request: Request, origins: Origins) -> "Places":
        base = origins.base_url(request.scope)
        link = link_of(request)
        return cls(base, base if link is None else f"{base}/view/{quote(link, safe='', errors='replace')}")

    def service(self, identifier: Identifier) -> str:
        """The address of a picture, as its info.json gives it."""
        return f"{self.seen_from}/3/{identifier}"


def picture(
    request: Request,
    renditions: Renditions,
    actor: Actor,
    viewed: ViewedImage,
    wanted: RegionWanted,
    headers: Mapping[str, str],
) -> Answered:
    """An encoded picture; it is not made for who has it already. Raises PreconditionFailed.

    What is not at hand is left for later, and raises then what `Renditions.region` does.
    """
    etag = renditions.etag(viewed, wanted)
    headers = {**headers, **_headers(viewed, etag)}
    if is_unchanged(request.method, request.headers, headers["ETag"]):
        return Response(None, 304, headers)

    def answer(content: bytes) -> Response:
        return Response(content, 200, headers, wanted.format.media_type)

    content = renditions.at_hand(actor, viewed, wanted)
    if content is not None:
        return answer(content)
    return Later(lambda: answer(renditions.region(actor, viewed, wanted).content))


def made_picture(request: Request, viewed: ViewedImage, etag: str, make: Callable[[], Rendition]) -> Response:
    """The same for one that is made at once, of something else about the image."""
    headers = _headers(viewed, etag)
    if is_unchanged(request.method, request.headers, headers["ETag"]):
        return Response(None, 304, headers)
    rendition = make()
    return Response(rendition.content, 200, headers, rendition.media_type)


def document(request: Request, value: Any, context: str, *, is_public: bool = False) -> Response:
    """A JSON document: as JSON-LD, unless the client would rather have plain JSON."""
    media_type = f'application/ld+json;profile="{context}"'
    accepted = request.headers.get("accept", "")
    if "application/json" in accepted and "application/ld+json" not in accepted:
        media_type = "application/json"
    return _answer(request, msgspec.json.encode(value), media_type, {**_kept(is_public), "Vary": "Accept"})


def json(request: Request, value: Any, *, is_public: bool) -> Response:
    """Plain JSON."""
    return _answer(request, msgspec.json.encode(value), "application/json", _kept(is_public))


def xml(request: Request, content: str, *, is_public: bool) -> Response:
    """An XML document."""
    return _answer(request, content.encode(), "application/xml", _kept(is_public))


def _answer(request: Request, content: bytes, media_type: str, headers: dict[str, str]) -> Response:
    headers["ETag"] = f'"{hashlib.sha256(media_type.encode() + content).hexdigest()}"'
    if is_unchanged(request.method, request.headers, headers["ETag"]):
        return Response(None, 304, headers)
    return Response(content, 200, headers, media_type)


def _kept(is_public: bool) -> dict[str, str]:
    """What is private may be kept, but is asked about each time: it may no longer be allowed to be seen."""
    caching = f"public, max-age={PUBLIC_SECONDS}" if is_public else "private, no-cache"
    return {**_ALWAYS, "Cache-Control": caching}


def _headers(viewed: ViewedImage, etag: str) -> dict[str, str]:
    return {**_kept(viewed.is_public), "ETag": f'"{etag}"'}
