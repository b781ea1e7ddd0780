"""The `data` of an image: whatever the text and however it is cut, what comes out is what went in."""

import base64
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinakes.apis.tscharts.imagedata import DataSpool, text_pieces
from pinakes.core.access.policy import ImageFacts
from pinakes.core.actor import Kind, Visibility
from pinakes.core.catalogue.records import Version
from pinakes.core.clinic.records.images import ClinicalImage, ClinicalType
from pinakes.core.content.store import Reader, new_key
from pinakes.core.content.stores import MemoryStore
from pinakes.core.content.uploads import Upload
from pinakes.core.errors import ContentMissing

NEAR_BASE64 = st.text(st.sampled_from('AQgw01/+-_= \n"\\é'))
CANONICAL = st.binary().map(lambda content: base64.b64encode(content).decode())
TEXTS = st.one_of(NEAR_BASE64, CANONICAL, st.tuples(CANONICAL, NEAR_BASE64).map("".join), st.text())
TEXTS = TEXTS.filter(lambda text: text and text.encode("utf-8", "ignore").decode() == text)


def is_canonical(text: str) -> bool:
    try:
        return base64.b64encode(base64.b64decode(text)).decode() == text
    except ValueError:
        return False


def pieces_of(text: str, cuts: list[int]) -> Iterator[str]:
    start = 0
    for cut in sorted(cut % (len(text) + 1) for cut in cuts):
        yield text[start:cut]
        start = cut
    yield text[start:]


SCRATCH = Path(tempfile.gettempdir())


def kept(text: str, cuts: list[int]) -> tuple[bool, Reader]:
    """Whether the text is kept verbatim, and the stored content."""
    store, key = MemoryStore(), new_key()
    with DataSpool(SCRATCH) as spool, Upload(store, key, max_bytes=None, expected_bytes=None) as upload:
        for piece in pieces_of(text, cuts):
            spool.write(piece)
        size = spool.finish()
        spool.copy_to(upload)
        assert upload.finish().size_bytes == size
        content = store.open(key)
        return spool.is_verbatim, _Copy(content.read_at(0, size))


class _Copy:
    """The content as it was before its upload was discarded."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size_bytes = len(content)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]

    def read_now(self, offset: int, length: int) -> bytes | None:
        return self.read_at(offset, length)

    def close(self) -> None:
        pass


def written_back(is_verbatim: bool, content: Reader) -> bytes:
    facts = ImageFacts(Kind.CLINICAL, 1, Visibility.PRIVATE, None, None, False, False)
    version = Version(1, "", "1.0", "", content.size_bytes, "unknown", 0)
    image = ClinicalImage(1, 1, None, None, ClinicalType.XRAY, is_verbatim, 0, facts, version)
    return b'"' + b"".join(text_pieces(image, content)) + b'"'


@example(text="QQ==QUJD", cuts=[4])
@example(text="QQ==QQ==", cuts=[4])
@example(text="QQ==QUJD", cuts=[4, 4])
@example(text="QR==", cuts=[])
@example(text="QUJ=", cuts=[1])
@example(text="QUJDQ", cuts=[3])
@given(text=TEXTS, cuts=st.lists(st.integers(0, 1000), max_size=5))
def test_i_c3_any_text_cut_anywhere_comes_back(text: str, cuts: list[int]) -> None:
    is_verbatim, content = kept(text, cuts)
    assert is_verbatim is not is_canonical(text)
    stored = content.read_at(0, content.size_bytes)
    assert stored == (text.encode() if is_verbatim else base64.b64decode(text))
    assert json.loads(written_back(is_verbatim, content)) == text


@pytest.mark.parametrize("flaw", ["", "=", "\n", "é"])
def test_a_text_larger_than_the_memory_comes_back(flaw: str) -> None:
    text = base64.b64encode(b"\xfb\xff\xbf" * 1_500_000).decode() + flaw
    is_verbatim, content = kept(text, [5, 1_000_003, 4_000_001])
    assert is_verbatim is (flaw != "")
    assert json.loads(written_back(is_verbatim, content)) == text


def test_a_character_cut_in_two_by_the_reading_is_whole_again() -> None:
    text = "x" + "é写" * 400_000
    is_verbatim, content = kept(text, [])
    assert is_verbatim
    assert written_back(is_verbatim, content).decode() == f'"{text}"'


def test_no_text_is_refused_and_a_reset_forgets() -> None:
    with DataSpool(SCRATCH) as spool:
        spool.write("QQ==")
        spool.write("verbatim")
        spool.reset()
        spool.write("")
        with pytest.raises(ContentMissing):
            spool.finish()
        spool.write("QQ==")
        assert (spool.finish(), spool.is_verbatim) == (1, False)
