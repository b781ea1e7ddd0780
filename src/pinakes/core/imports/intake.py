"""A fetched file on its way into the store: judged by its first bytes, counted, and written in larger pieces."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from pinakes.core.catalogue.machines import check_format
from pinakes.core.content.content import Content
from pinakes.core.content.uploads import Upload
from pinakes.core.errors import ContentMissing, FormatUnsupported, TooLarge
from pinakes.core.imports.transfer import PIECE_BYTES
from pinakes.imaging import formats

DISK_FORMATS: Final = frozenset({"qcow2", "raw", "vmdk", "vdi", "vhdx", "iso", "ova"})
_CI_SIGNATURE_BYTES = 4


@dataclass(frozen=True, slots=True)
class FormatRule:
    """Which files are taken. check: given the first head_bytes, or all there is; raises FormatUnsupported."""

    head_bytes: int
    check: Callable[[bytes], None]


def _check_disk(head: bytes) -> None:
    if formats.sniff(head) not in DISK_FORMATS:
        raise FormatUnsupported("disk image")


CI_RULE: Final = FormatRule(_CI_SIGNATURE_BYTES, check_format)
"""What Djinn CI shows is told by four bytes and nothing else (djinn contract 5.7, 7.3)."""

DISK_RULE: Final = FormatRule(formats.HEAD_BYTES, _check_disk)
"""Any format of a virtual machine's disk that can be told by its bytes."""


class Intake:
    """One file. A context manager: leaving it discards what was not adopted.

    max_bytes: the largest file, None for no limit but that of every upload.
    progress: told the fraction that has come, where the length is known.
    """

    def __init__(
        self, content: Content, rule: FormatRule, max_bytes: int | None, progress: Callable[[float], None]
    ) -> None:
        self._content = content
        self._rule = rule
        self._max_bytes = max_bytes
        self._progress = progress
        self._upload: Upload | None = None
        self._expected_bytes: int | None = None
        self._count = 0
        self._pending = bytearray()
        self._is_judged = False

    def expect(self, size_bytes: int | None) -> None:
        """Raises TooLarge, StorageFull, StoreUnavailable."""
        self._check_size(size_bytes or 0)
        self._upload = self._content.receive(size_bytes)
        self._expected_bytes = size_bytes

    def write(self, piece: bytes) -> None:
        """Raises FormatUnsupported, TooLarge, StorageFull, StoreUnavailable."""
        self._count += len(piece)
        self._check_size(self._count)
        self._pending += piece
        if not self._is_judged and len(self._pending) >= self._rule.head_bytes:
            self._judge()
        if len(self._pending) >= PIECE_BYTES:
            self._flush()
            if self._expected_bytes:
                self._progress(self._count / self._expected_bytes)

    def finish(self) -> Upload:
        """The whole file, durable. Raises ContentMissing, FormatUnsupported, StorageFull, StoreUnavailable."""
        if self._upload is None or self._count == 0:
            raise ContentMissing("The file is empty.")
        if not self._is_judged:
            self._judge()
        self._flush()
        self._upload.finish()
        return self._upload

    def __enter__(self) -> "Intake":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._upload is not None:
            self._upload.discard()

    def _check_size(self, size_bytes: int) -> None:
        if self._max_bytes is not None and size_bytes > self._max_bytes:
            raise TooLarge(self._max_bytes)

    def _judge(self) -> None:
        self._rule.check(bytes(self._pending[: self._rule.head_bytes]))
        self._is_judged = True

    def _flush(self) -> None:
        assert self._upload is not None
        pending, self._pending = self._pending, bytearray()
        if pending:
            self._upload.write(pending)
