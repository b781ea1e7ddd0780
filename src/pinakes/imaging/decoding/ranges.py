"""A file that is not on this machine, read by ranges: both ends of it.

    who asks  ── request, with `Distant` ─>  decoding process
              <── Needed: a range ─────────
              ── its bytes, or nothing ────>   ... as often as it takes
              <── answer ──────────────────

Neither believes the other to be quick or honest: what one request may fetch is bounded at both ends.
"""

import time
from collections.abc import Callable
from typing import Final

from pinakes.imaging.bytesources import Fetch, NeedsWhole
from pinakes.imaging.decoding.requests import DecodingFailed, Distant, Needed
from pinakes.imaging.source import Description, ImagingError

MOST_AT_ONCE: Final = 16 * 1024 * 1024
"""Bytes of one range."""

MOST_BYTES: Final = 64 * 1024 * 1024
MOST_RANGES: Final = 512
MOST_SECONDS: Final = 10.0
"""Of one request, all ranges together: who needs more is quicker with the whole file."""

_OWN_KINDS: Final = frozenset({"TIFF", "OME-TIFF"})
_OWN_VENDORS: Final = frozenset({"aperio"})


def distant_of(description: Description, size_bytes: int) -> Distant | None:
    """How a file that has been described so can be read by ranges; None for one that takes the whole file.

    Read by ranges are the levels of TIFF files of no scanner's kind, and those of Aperio's that are plain tiles. For
    slides of others there is OpenSlide alone, which opens files by name; so does who describes a file in the first
    place.
    """
    if description.format != "tiff" or not description.levels:
        return None
    is_slide = description.facts.get("vendor") in _OWN_VENDORS
    if not is_slide and description.facts.get("kind") not in _OWN_KINDS:
        return None
    return Distant(size_bytes, description.levels, only_plain=is_slide)


class Allowance:
    """What one request may still fetch."""

    def __init__(self) -> None:
        self._bytes, self._ranges = MOST_BYTES, MOST_RANGES

    def take(self, count: int) -> bool:
        """Whether a range of so many bytes is within it."""
        self._bytes -= count
        self._ranges -= 1
        return self._bytes >= 0 and self._ranges >= 0


class Supply:
    """The bytes of one file, for one request.

    fetch: gives them.   failure: what it raised, which ends the request; or NeedsWhole, if it took too long.
    """

    def __init__(self, fetch: Fetch, size_bytes: int) -> None:
        self._fetch, self._size_bytes = fetch, size_bytes
        self._allowance = Allowance()
        self.failure: Exception | None = None
        self._waited_seconds = 0.0

    def give(self, needed: Needed) -> bytes:
        """A range; nothing if it cannot be had. Raises DecodingFailed for one that nobody honest asks for."""
        offset, count = needed.offset, needed.count
        is_within = offset >= 0 and 0 < count <= MOST_AT_ONCE and offset + count <= self._size_bytes
        if not is_within or not self._allowance.take(count):
            raise DecodingFailed("The process that read the picture asked for bytes that it may not have.")
        if self.failure is None and self._waited_seconds > MOST_SECONDS:
            self.failure = NeedsWhole("To fetch the file in parts takes too long.")
        if self.failure is not None:
            return b""
        begun = time.monotonic()
        try:
            return self._fetch(offset, count)
        except Exception as error:
            self.failure = error
            return b""
        finally:
            self._waited_seconds += time.monotonic() - begun


class Fetching:
    """The other end: ranges of the file that the request is about, which is being answered.

    ask: gives the bytes of a range, or nothing.   failure: what `read` has raised since the request began.
    """

    def __init__(self, ask: Callable[[Needed], bytes | bytearray]) -> None:
        self._ask = ask
        self._allowance = Allowance()
        self.failure: ImagingError | None = None

    def begin(self) -> None:
        """Another request is to be answered."""
        self._allowance, self.failure = Allowance(), None

    def read(self, offset: int, count: int) -> bytes:
        """A `Fetch`. Raises NeedsWhole if it is too much for one request, DecodingFailed if it cannot be had."""
        starts = range(offset, offset + count, MOST_AT_ONCE)
        pieces = [self._piece(start, min(MOST_AT_ONCE, offset + count - start)) for start in starts]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, offset: int, count: int) -> bytes:
        if not self.failure and not self._allowance.take(count):
            self.failure = NeedsWhole("Too much of the file would have to be fetched in parts.")
        if self.failure:
            raise self.failure
        piece = bytes(self._ask(Needed(offset, count)))
        if len(piece) != count:
            self.failure = DecodingFailed("The file cannot be read just now.")
            raise self.failure
        return piece
