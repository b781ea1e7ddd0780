"""What a content store is: bytes under random keys, written once.

    key    32 lower-case hex digits, made by `new_key`; never used again (DESIGN.md rule 10), never a client's text
    begin  -> Writer: pieces are appended; nobody can read them yet
    commit -> the object is durable and readable under its key, whole
    abort  -> nothing is left

A store knows no digests, no images and no database. Implementations: `stores.disk`, `stores.s3`, `stores.memory`;
each passes `tests/suites/content_store.py`.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pinakes.core.clock import Instant


def new_key() -> str:
    """A key nobody has used and nobody can guess."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the store lists it.

    is_partial: it was begun and neither committed nor aborted; its writer may still be alive.
    """

    key: str
    size_bytes: int
    modified_at: Instant
    is_partial: bool


class Writer(Protocol):
    """An object being written. Used by one thread at a time."""

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Append. Raises StorageFull or StoreUnavailable."""

    def commit(self) -> None:
        """Make the object durable and readable; returns only when a crash can no longer lose it.

        Raises StorageFull or StoreUnavailable; the caller then aborts.
        """

    def abort(self) -> None:
        """Remove what was written. Does nothing after commit or a first abort, and never raises."""


class Reader(Protocol):
    """An object being read. Used by one thread at a time; an open reader outlives a delete where the store can."""

    size_bytes: int

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes from offset on, fewer than length only at the end. Raises StoreUnavailable."""

    def read_now(self, offset: int, length: int) -> bytes | None:
        """The same if it takes no waiting (pages already in memory), else None. May return fewer bytes."""

    def close(self) -> None:
        """Let go of it. Never raises; may be called twice."""


class ContentStore(Protocol):
    """A place for bytes. Safe to use from several threads and processes at once."""

    def begin(self, key: str, *, expected_bytes: int | None = None) -> Writer:
        """Start an object. expected_bytes is a hint for choosing part sizes.

        Raises StorageFull or StoreUnavailable.
        """

    def open(self, key: str) -> Reader:
        """Raises BlobUnknown if there is no committed object, StoreUnavailable."""

    def read(self, key: str, offset: int, length: int) -> bytes:
        """Exactly so many bytes of an object from offset on: one request, and nothing is read ahead.

        Raises BlobUnknown if there is no committed object; StoreUnavailable, also if it does not have them all.
        """

    def path(self, key: str) -> Path | None:
        """Where programs of this machine find the bytes of an object that is there; None if the store has no files."""

    def delete(self, key: str) -> None:
        """Remove an object; no error if there is none. Durable on return. Raises StoreUnavailable."""

    def list(self) -> Iterator[StoredObject]:
        """Every object, committed or partial, in no order. Objects that come or go meanwhile may be missed."""

    def remove_partial(self, key: str) -> bool:
        """Remove a partial object whose writer is dead. False, and nothing happens, if it may still be alive."""

    def free_bytes(self) -> int | None:
        """How many bytes can still be taken; None where the store cannot tell."""

    def check(self) -> None:
        """Raises StoreUnavailable if the store cannot be reached or written to."""
