"""The content stores, and by which URL each is opened."""

from collections.abc import Callable
from pathlib import Path

from pinakes.core.content.inbox import Inbox, InboxOptions
from pinakes.core.content.store import ContentStore
from pinakes.core.content.stores.disk import DiskStore
from pinakes.core.content.stores.memory import MemoryStore
from pinakes.core.content.stores.s3 import S3Options, S3Store

__all__ = [
    "STORES",
    "DiskStore",
    "MemoryStore",
    "S3Options",
    "S3Store",
    "open_inbox",
    "open_store",
]


def _open_disk(rest: str, _: S3Options | None, makes: bool) -> ContentStore:
    path = rest.removeprefix("//")
    if not rest.startswith("///") or "\0" in path:
        raise ValueError("a disk store is disk:///absolute/path, or the path alone")
    return DiskStore(Path(path), makes=makes)


def _open_s3(rest: str, options: S3Options | None, _: bool) -> ContentStore:
    return S3Store(*_bucket_and_prefix(rest), options or S3Options())


def _bucket_and_prefix(rest: str) -> tuple[str, str]:
    if not rest.startswith("//"):
        raise ValueError("an S3 store is s3://bucket or s3://bucket/prefix")
    bucket, _, prefix = rest.removeprefix("//").partition("/")
    return bucket, prefix.removesuffix("/")


def _open_memory(rest: str, _: S3Options | None, __: bool) -> ContentStore:
    if rest:
        raise ValueError("the memory store is memory: and nothing else")
    return MemoryStore()


STORES: dict[str, Callable[[str, S3Options | None, bool], ContentStore]] = {
    "disk": _open_disk,
    "s3": _open_s3,
    "memory": _open_memory,
}
"""The scheme of a store's URL, and what opens it given the rest of the URL and whether it may be made."""


def open_store(url: str, *, s3: S3Options | None = None, makes: bool = True) -> ContentStore:
    """Open `disk:///absolute/path`, a plain path, `s3://bucket/prefix` or `memory:`.

    makes: whether a folder that is missing is made, as for a new archive.
    Raises ValueError for a URL that names no store; StorageFull or StoreUnavailable if a disk store is missing or
    cannot be made.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme:
        if not url or "\0" in url:
            raise ValueError("the content store's URL is empty")
        return DiskStore(Path(url).absolute(), makes=makes)
    opener = STORES.get(scheme)
    if opener is None:
        known = ", ".join(f"{name}:" for name in STORES)
        raise ValueError(f"no content store is called {scheme!r}; a store URL is a path or starts with one of {known}")
    return opener(rest, s3, makes)


def open_inbox(url: str, *, s3: S3Options | None = None, options: InboxOptions | None = None) -> Inbox | None:
    """The inbox beside the store of this URL, as `open_store` takes it; None where clients cannot reach it."""
    scheme, _, rest = url.partition(":")
    if scheme != "s3":
        return None
    from pinakes.core.content.stores.s3_inbox import S3Inbox  # boto3 takes half a second to load

    return S3Inbox(*_bucket_and_prefix(rest), s3 or S3Options(), options or InboxOptions())
