"""One transfer on its way: how long it may take, who is given its bytes, and how it fails."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pinakes.core.imports.addresses import Network

POLL_SECONDS: Final = 0.25
"""How long a transfer waits for anything before it looks whether it is still wanted."""

PIECE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """What imports may do.

    allowed: networks that may be fetched from in spite of `addresses.AddressPolicy`.
    total_seconds: for a whole transfer.   idle_seconds: without a byte, or for a connection to be made.
    max_bytes: the largest file, None for no limit but that of every upload.
    known_hosts: a file of SSH host keys in OpenSSH's format; None accepts the key of any server.
    """

    allowed: tuple[Network, ...] = ()
    total_seconds: float = 600.0
    idle_seconds: float = 60.0
    max_bytes: int | None = None
    known_hosts: Path | None = None


class FetchFailed(Exception):
    """The file could not be fetched. The message is for people; it holds no secret and no resolved address."""


class Receiver(Protocol):
    """Who is given the bytes. What it raises ends the transfer."""

    def expect(self, size_bytes: int | None) -> None:
        """How many bytes the server says will come, None if it does not; before the first of them."""

    def write(self, piece: bytes) -> None: ...


class Watch:
    """Whether a transfer may go on. check: raises if it is not wanted any more."""

    def __init__(self, check: Callable[[], None], limits: ImportLimits) -> None:
        self._check = check
        self._limits = limits
        self._end = time.monotonic() + limits.total_seconds
        self._idle_end = time.monotonic() + limits.idle_seconds
        self._next_check = 0.0

    def tick(self) -> None:
        """To be called at least every POLL_SECONDS. Raises FetchFailed out of time, and what `check` raises."""
        now = time.monotonic()
        if now >= self._next_check:
            self._check()
            self._next_check = now + POLL_SECONDS
        if now >= self._end:
            raise FetchFailed(f"The transfer took longer than {self._limits.total_seconds:g} seconds.")
        if now >= self._idle_end:
            raise FetchFailed(f"The server kept silent for {self._limits.idle_seconds:g} seconds.")

    def heard(self) -> None:
        """Something came, or is waited for from now on: patience begins anew."""
        self._idle_end = time.monotonic() + self._limits.idle_seconds
