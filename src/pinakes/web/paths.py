"""The path of a request, from its raw form.

`scope["path"]` has lost `%2F` and invalid UTF-8 by the time an application sees it; `raw_path` has not.
"""

from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

UNREADABLE: Final = "\ufffd"
"""Stands in `scope["path"]` for a segment that can name nothing: not UTF-8, or with an encoded slash or NUL in it."""


def segments(scope: Scope, *, merge_slashes: bool = False, ignore_trailing: bool = False) -> list[str] | None:
    """The decoded segments of a path; None if one is not UTF-8 or holds NUL. An encoded slash stays inside its segment.

    `/a//b/` is ["a", "", "b", ""]; with merge_slashes ["a", "b", ""]; with ignore_trailing the last "" is left out
    (tscharts contract G2, G3). `/` is [""], or [] with ignore_trailing.
    """
    parts = [decoded(part) for part in raw_path(scope).split(b"/")[1:]]
    if merge_slashes:
        parts = [part for part in parts[:-1] if part != ""] + parts[-1:]
    if ignore_trailing and parts and parts[-1] == "":
        parts.pop()
    readable = [part for part in parts if part is not None]
    return readable if len(readable) == len(parts) else None


def routable(raw: bytes, *, loose_slashes: bool = False) -> str:
    """The path as routes are matched against it: no encoded slash becomes a separator.

    loose_slashes: runs of slashes count as one, and one at the end is ignored.
    """
    if b"%" not in raw and raw.isascii() and b"\x00" not in raw:
        path = raw.decode("ascii")
    else:
        path = "/".join(_routable_segment(part) for part in raw.split(b"/"))
    if loose_slashes and (path.endswith("/") or "//" in path):
        path = "/" + "/".join(part for part in path.split("/") if part)
    return path or "/"


def raw_path(scope: Scope) -> bytes:
    """The percent-encoded path without the query; b"/" where the request names none (`OPTIONS *`)."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:  # optional in ASGI
        raw = scope["path"].encode("utf-8", "replace").replace(b"%", b"%25")
    raw = raw.partition(b"?")[0]  # some servers leave the query in
    return raw if raw.startswith(b"/") else b"/"


def decoded(segment: bytes) -> str | None:
    """One percent-encoded segment as text, or None if that is not UTF-8 or holds NUL, which no name does."""
    if b"%" in segment:
        segment = unquote_to_bytes(segment)
    if b"\x00" in segment:
        return None
    try:
        return segment.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _routable_segment(segment: bytes) -> str:
    text = decoded(segment)
    return UNREADABLE if text is None or "/" in text else text
