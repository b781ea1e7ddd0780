"""Content in an S3 bucket: any server that speaks S3, reached through obstore.

    <prefix>/objects/<key>     one object each
    <prefix>/checks/<key>      written and deleted by `check`

S3 has no rename and needs none: an object is visible only when it is whole. A small one is a single create-only PUT,
a larger one a multipart upload, which is aborted with the writer. If the process dies instead, its parts stay behind,
invisible to every listing and to `list` here, for obstore cannot list unfinished uploads. Give the bucket a lifecycle
rule `AbortIncompleteMultipartUpload` (7 days) that removes them.

Without keys in the options, obstore looks for credentials as AWS's own tools do (environment, web identity, instance).
"""

import queue
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store as Bucket

from pinakes.core.clock import from_datetime
from pinakes.core.content.store import Reader, StoredObject, Writer, new_key
from pinakes.core.errors import BlobUnknown, PinakesError, StorageFull, StoreUnavailable

if TYPE_CHECKING:
    from obstore.store import BackoffConfig, S3Config

_KEY = re.compile(r"[0-9a-f]{32}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")

_MIB = 1024 * 1024
_PIECE_BYTES = _MIB  # what goes to the sending thread at a time
_QUEUED_PIECES = 4
_LEAST_PART_BYTES = 8 * _MIB
_UNANNOUNCED_PART_BYTES = 16 * _MIB  # 160 GB in the 10,000 parts that S3 allows
_PLANNED_PARTS = 9_000
_IN_FLIGHT_BYTES = 64 * _MIB  # parts being sent and the one being filled; twice a part where parts are over 32 MiB

_LEAST_AHEAD_BYTES = _MIB
_MOST_AHEAD_BYTES = 8 * _MIB

_CONNECT_TIMEOUT = timedelta(seconds=5)
_REQUEST_TIMEOUT = timedelta(seconds=120)  # one part sent, or one read ahead, at 0.3 MB/s or better
_RANGE_TIMEOUT = timedelta(seconds=8)  # somebody waits for a picture
_CHECK_TIMEOUT = timedelta(seconds=5)
_MAX_RETRIES = 5
_BACKOFF: "BackoffConfig" = {
    "init_backoff": timedelta(milliseconds=100),
    "max_backoff": timedelta(seconds=5),
    "base": 2,
}
_RETRY_TIMEOUT = timedelta(seconds=60)

_TOO_FEW = "The content store gave fewer bytes than were asked for."

# How servers say that there is no room: Ceph, Garage and AWS-alikes name a quota, MinIO and others answer 507.
_FULL_WORDS = ("QuotaExceeded", "StorageFull", "InsufficientCapacity", "507 Insufficient Storage")


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach an S3 server.

    endpoint: its URL without the bucket, None for AWS; plain `http://` is allowed and carries the bytes unencrypted.
    access_key, secret_key: both or neither.
    virtual_hosted: the bucket is named in the host instead of the path.
    """

    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = None
    virtual_hosted: bool = False

    def __repr__(self) -> str:
        return f"S3Options(endpoint={self.endpoint!r}, region={self.region!r}, virtual_hosted={self.virtual_hosted})"


class S3Store:
    """Objects in a bucket, under a prefix (without slashes at its ends, empty for none)."""

    def __init__(self, bucket: str, prefix: str, options: S3Options) -> None:
        """Nothing is sent yet. Raises ValueError for a bucket, prefix or endpoint that cannot be one."""
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(f"{bucket!r} is not a bucket name: 3 to 63 of a-z, 0-9, '.' and '-'")
        if prefix and not _PREFIX.fullmatch(prefix):
            raise ValueError(f"{prefix!r} is not a prefix: names of A-Z, a-z, 0-9, '.', '_' and '-' between slashes")
        self._connect = partial(_connect, bucket, prefix, options)
        self._bucket = self._connect(_REQUEST_TIMEOUT, _MAX_RETRIES)

    @cached_property
    def _ranges(self) -> Bucket:
        """For reading from the middle. Made when it is used, like the next: each takes some 13 ms."""
        return self._connect(_RANGE_TIMEOUT, 1)

    @cached_property
    def _probe(self) -> Bucket:
        return self._connect(_CHECK_TIMEOUT, 0)

    def begin(self, key: str, *, expected_bytes: int | None = None) -> Writer:
        return _S3Writer(self._bucket, _path(key), part_bytes(expected_bytes))

    def open(self, key: str) -> Reader:
        path = _path(key)
        with _found(key):
            size_bytes = obstore.head(self._bucket, path)["size"]
        return _S3Reader(self._bucket, path, size_bytes)

    def read(self, key: str, offset: int, length: int) -> bytes:
        path = _path(key)
        if not length:
            return b""
        with _found(key):
            read = bytes(obstore.get_range(self._ranges, path, start=offset, length=length))
        if len(read) != length:
            raise StoreUnavailable(_TOO_FEW)
        return read

    def path(self, key: str) -> Path | None:  # noqa: ARG002
        return None

    def delete(self, key: str) -> None:
        _delete(self._bucket, _path(key))

    def list(self) -> Iterator[StoredObject]:
        with _translated():
            for page in obstore.list(self._bucket, "objects", chunk_size=1000):
                for found in page:
                    key = found["path"].removeprefix("objects/")
                    if _KEY.fullmatch(key):
                        yield StoredObject(key, found["size"], from_datetime(found["last_modified"]), False)

    def remove_partial(self, key: str) -> bool:  # noqa: ARG002
        return False

    def free_bytes(self) -> int | None:
        return None

    def check(self) -> None:
        path = f"checks/{new_key()}"
        try:
            with _translated():
                obstore.put(self._probe, path, b"1", mode="create", use_multipart=False)
                obstore.delete(self._probe, path)
        except StorageFull as exc:
            raise StoreUnavailable("The content store is full.") from exc


def part_bytes(expected_bytes: int | None) -> int:
    """The part size for an object: few enough parts, and little enough memory, for what is expected."""
    if expected_bytes is None:
        return _UNANNOUNCED_PART_BYTES
    mebibytes = -(-expected_bytes // (_PLANNED_PARTS * _MIB))
    return max(_LEAST_PART_BYTES, mebibytes * _MIB)


def endpoint_url(bucket: str, endpoint: str, *, virtual_hosted: bool) -> str:
    """Where requests for a bucket go: an operator gives the server, obstore wants the bucket in its host if at all.

    Raises ValueError.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise ValueError("an S3 endpoint is a URL like https://s3.example.org, without the bucket")
    host = f"{bucket}.{parts.netloc}" if virtual_hosted else parts.netloc
    return f"{parts.scheme}://{host}"


class _S3Writer:
    """Holds what is less than a part; sends what is more from a thread of its own."""

    def __init__(self, bucket: Bucket, path: str, size_of_part: int) -> None:
        self._bucket = bucket
        self._path = path
        self._part_bytes = size_of_part
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._sender: _Sender | None = None
        self._is_open = True
        self._is_uncertain = False  # a commit failed in a way that may have made the object all the same

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        self._require_open()
        whole = memoryview(piece).cast("B")
        for start in range(0, len(whole), _PIECE_BYTES):
            self._hold(bytes(whole[start : start + _PIECE_BYTES]))

    def commit(self) -> None:
        self._require_open()
        try:
            if self._sender is None:
                with _translated():
                    content = b"".join(self._held)
                    obstore.put(self._bucket, self._path, content, mode="create", use_multipart=False)
            else:
                self._flush(self._sender)
                self._sender.finish()
        except StoreUnavailable as exc:
            self._is_uncertain = not isinstance(exc.__cause__, AlreadyExistsError)
            raise
        self._end()

    def abort(self) -> None:
        if not self._is_open:
            return
        sender = self._sender
        self._end()
        if sender is not None:
            sender.abort()
        if self._is_uncertain:
            with suppress(StoreUnavailable, StorageFull):
                _delete(self._bucket, self._path)

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_bytes += len(piece)
        if self._sender is None and self._held_bytes >= self._part_bytes:
            self._sender = _Sender(self._bucket, self._path, self._part_bytes)
        if self._sender is not None and self._held_bytes >= _PIECE_BYTES:
            self._flush(self._sender)

    def _flush(self, sender: "_Sender") -> None:
        """Hand over what is held, in pieces as large as they came, the small ones together."""
        held, self._held, self._held_bytes = self._held, [], 0
        if len(held) > 1 and sum(map(len, held)) <= 2 * _PIECE_BYTES:
            held = [b"".join(held)]
        for piece in held:
            sender.feed(piece)

    def _end(self) -> None:
        self._is_open = False
        self._sender = None
        self._held = []

    def _require_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("the object was committed or aborted already")


class _Abort(Exception):
    """Makes obstore abort the multipart upload."""


class _Sender:
    """One multipart upload, in a thread that takes pieces from a short queue: a slow server slows the client down."""

    def __init__(self, bucket: Bucket, path: str, size_of_part: int) -> None:
        self._pieces: queue.Queue[bytes | _Abort | None] = queue.Queue(_QUEUED_PIECES)
        self._error: PinakesError | None = None
        self._thread = threading.Thread(
            target=self._run, args=(bucket, path, size_of_part), name="s3-upload", daemon=True
        )
        self._thread.start()

    def feed(self, piece: bytes) -> None:
        self._raise_error()
        self._pieces.put(piece)

    def finish(self) -> None:
        self._pieces.put(None)
        self._thread.join()
        self._raise_error()

    def abort(self) -> None:
        """Returns when the parts are gone, or the server has not answered for long enough."""
        if self._thread.is_alive():
            self._pieces.put(_Abort())
            self._thread.join()

    def _run(self, bucket: Bucket, path: str, size_of_part: int) -> None:
        in_flight = max(1, _IN_FLIGHT_BYTES // size_of_part - 1)
        stream = self._stream()
        try:
            with _translated():
                obstore.put(bucket, path, stream, chunk_size=size_of_part, max_concurrency=in_flight)
        except BaseException as exc:  # whatever it was, the writing thread must hear of it, not wait for ever
            self._error = exc if isinstance(exc, PinakesError) else StoreUnavailable()
            with suppress(_Abort):
                for _ in stream:
                    pass

    def _stream(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, _Abort):
                raise piece
            yield piece

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


class _S3Reader:
    """Ranges of one object. Reading on from where the last read ended fetches more and more ahead."""

    def __init__(self, bucket: Bucket, path: str, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._bucket = bucket
        self._path = path
        self._buffer = memoryview(b"")
        self._start = 0  # where in the object the buffer begins
        self._ahead_bytes = _LEAST_AHEAD_BYTES

    def read_at(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size_bytes - offset))
        pieces = []
        while length > 0:
            piece = self._buffered(offset, length)
            if not piece:
                self._fetch(offset, length)
                piece = self._buffered(offset, length)
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_now(self, offset: int, length: int) -> bytes | None:
        if offset >= self.size_bytes:
            return b""
        return self._buffered(offset, length) or None

    def close(self) -> None:
        self._buffer = memoryview(b"")

    def _buffered(self, offset: int, length: int) -> bytes:
        """As much as the buffer has of it, from its first byte on."""
        begin = offset - self._start
        if begin < 0:
            return b""
        return bytes(self._buffer[begin : begin + length])

    def _fetch(self, offset: int, length: int) -> None:
        """Fill the buffer from offset on, with at least the length asked for or the read-ahead."""
        goes_on = self._start + len(self._buffer) == offset
        self._ahead_bytes = min(2 * self._ahead_bytes, _MOST_AHEAD_BYTES) if goes_on else _LEAST_AHEAD_BYTES
        size = min(max(min(length, _MOST_AHEAD_BYTES), self._ahead_bytes), self.size_bytes - offset)
        self._buffer = memoryview(b"")  # the old bytes go before the new ones come
        with _translated():
            fetched = memoryview(obstore.get_range(self._bucket, self._path, start=offset, length=size))
        if len(fetched) != size:
            raise StoreUnavailable(_TOO_FEW)
        self._start, self._buffer = offset, fetched


def _connect(bucket: str, prefix: str, options: S3Options, timeout: timedelta, max_retries: int) -> Bucket:
    config = _config(bucket, options)
    return Bucket(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "allow_http": config.get("endpoint", "").startswith("http://"),
            "connect_timeout": _CONNECT_TIMEOUT,
            "timeout": timeout,
        },
        retry_config={"max_retries": max_retries, "retry_timeout": _RETRY_TIMEOUT, "backoff": _BACKOFF},
    )


def _config(bucket: str, options: S3Options) -> "S3Config":
    config: S3Config = {"region": options.region, "virtual_hosted_style_request": options.virtual_hosted}
    if options.endpoint is not None:
        config["endpoint"] = endpoint_url(bucket, options.endpoint, virtual_hosted=options.virtual_hosted)
    if (options.access_key is None) != (options.secret_key is None):
        raise ValueError("an S3 access key and its secret key go together")
    if options.access_key is not None and options.secret_key is not None:
        config["access_key_id"] = options.access_key
        config["secret_access_key"] = options.secret_key
    return config


def _path(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("a key is 32 lower-case hex digits")
    return f"objects/{key}"


def _delete(bucket: Bucket, path: str) -> None:
    with _translated(), suppress(FileNotFoundError):
        obstore.delete(bucket, path)


@contextmanager
def _found(key: str) -> Iterator[None]:
    """Raises BlobUnknown instead, if it is that the object is not there."""
    try:
        with _translated():
            yield
    except StoreUnavailable as exc:
        if isinstance(exc.__cause__, FileNotFoundError):
            raise BlobUnknown(key) from exc
        raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as exc:
        if any(word in str(exc) for word in _FULL_WORDS):
            raise StorageFull from exc
        raise StoreUnavailable from exc
