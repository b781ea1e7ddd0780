"""The `data` of an image: from the client's text to the bytes that are kept, and back, character for character.

    canonical base64 ──────> the bytes it stands for      a real picture for every other API
    anything else ─────────> the text itself, in UTF-8    marked verbatim

A text is canonical if encoding its bytes gives it back: the standard alphabet, right padding, no bits left over, no
white space (contract I-C3). Neither way holds more than about a mebibyte in memory.
"""

import codecs
import errno
import tempfile
from binascii import b2a_base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import msgspec

from pinakes.core.clinic.records.images import ClinicalImage
from pinakes.core.content.store import Reader
from pinakes.core.content.uploads import Upload
from pinakes.core.errors import ContentMissing, StorageFull, StoreUnavailable

_MEMORY_BYTES = 256 * 1024
_PIECE_BYTES = 3 * 128 * 1024  # whole groups of three bytes become whole groups of four characters
_FULL = {errno.ENOSPC, errno.EDQUOT}


class DataSpool:
    """Takes the text piece by piece, as the sink of an ObjectReader, and decodes it for as long as it is canonical.

    At the first departure what was decoded is turned back into the text it came from; that loses nothing. Beyond
    256 KiB the bytes are in a file without a name in `folder`. A context manager, used by one thread at a time.
    write, finish and copy_to raise StorageFull and StoreUnavailable.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.is_verbatim = False
        self._file = self._new_file()
        self._carry = ""  # fewer than four characters that wait for the rest of their group
        self._is_padded = False

    def write(self, text: str) -> None:
        with _translated():
            if self.is_verbatim:
                self._file.write(text.encode())
            elif not self._decode(self._carry + text):
                self._depart(self._carry + text)

    def reset(self) -> None:
        """Forget everything."""
        self._file.close()
        self.is_verbatim, self._file, self._carry, self._is_padded = False, self._new_file(), "", False

    def finish(self) -> int:
        """No more text comes; how many bytes are to be kept. Raises ContentMissing for an empty text."""
        with _translated():
            if self._carry:
                self._depart(self._carry)
            size = self._file.tell()
        if size == 0:
            raise ContentMissing
        return size

    def copy_to(self, upload: Upload) -> None:
        for piece in self._pieces():
            upload.write(piece)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "DataSpool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decode(self, text: str) -> bool:
        """Take whole groups of four; False, and nothing is taken, if the text cannot be canonical."""
        end = len(text) - len(text) % 4
        groups, carry = text[:end], text[end:]
        if not text:
            return True  # and what was padded stays padded
        if self._is_padded:
            return False
        try:
            decoded = msgspec.convert(groups, bytes)  # as strict as binascii's strict mode, at three times its rate
        except ValueError:
            return False
        is_padded = groups.endswith("=")
        if is_padded and (carry or _encoded(decoded[-(len(decoded) % 3) :]) != groups[-4:].encode()):
            return False
        self._file.write(decoded)
        self._carry, self._is_padded = carry, is_padded
        return True

    def _depart(self, rest: str) -> None:
        """Go on verbatim: what was decoded so far becomes text again, and `rest` follows."""
        verbatim = self._new_file()
        for piece in self._pieces():
            verbatim.write(_encoded(piece))
        verbatim.write(rest.encode())
        self._file.close()
        self._file, self._carry, self.is_verbatim = verbatim, "", True

    def _new_file(self) -> "tempfile.SpooledTemporaryFile[bytes]":
        return tempfile.SpooledTemporaryFile(_MEMORY_BYTES, dir=str(self._folder))

    def _pieces(self) -> Iterator[bytes]:
        with _translated():
            self._file.seek(0)
            while piece := self._file.read(_PIECE_BYTES):
                yield piece


def text_length(image: ClinicalImage) -> int | None:
    """How many bytes `text_pieces` come to, where that is known before reading them."""
    return None if image.is_verbatim else 4 * -(-image.version.size_bytes // 3)


def text_pieces(image: ClinicalImage, reader: Reader) -> Iterator[bytes]:
    """The text as it was sent, as the inside of a JSON string. Raises StoreUnavailable."""
    pieces = _content(reader)
    return _escaped(pieces) if image.is_verbatim else map(_encoded, pieces)


def _content(reader: Reader) -> Iterator[bytes]:
    for offset in range(0, reader.size_bytes, _PIECE_BYTES):
        yield reader.read_at(offset, _PIECE_BYTES)


def _escaped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for piece in pieces:
        yield msgspec.json.encode(decoder.decode(piece))[1:-1]


def _encoded(piece: bytes) -> bytes:
    return b2a_base64(piece, newline=False)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise (StorageFull if exc.errno in _FULL else StoreUnavailable) from exc
