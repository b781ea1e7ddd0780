import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.core.errors import Invalid, PinakesError, StorageFull, UploadBroken
from pinakes.web.bridge import Bridge
from pinakes.web.forms import FilePart, FormReader, read_form

TYPE = "multipart/form-data; boundary=edge"


class Kept:
    def __init__(self) -> None:
        self.content = b""

    def write(self, piece: bytes | bytearray) -> None:
        self.content += piece


class Files:
    """Takes every file of a form."""

    def __init__(self) -> None:
        self.found: list[tuple[FilePart, Kept]] = []

    def __call__(self, part: FilePart) -> Kept:
        self.found.append((part, Kept()))
        return self.found[-1][1]


def part(head: str, content: bytes) -> bytes:
    return f"--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"


def read(body: bytes, cuts: Sequence[int] = (), *, file_fields: Sequence[str] = ()) -> tuple[dict[str, str], Files]:
    files = Files()
    reader = FormReader(b"edge", files, file_fields)
    position = 0
    for size in cuts:
        reader.feed(body[position : position + size])
        position += size
    reader.feed(body[position:])
    return reader.close(), files


END = b"--edge--\r\n"


@given(
    st.dictionaries(st.text(alphabet="abcdef", min_size=1), st.text(), max_size=4),
    st.binary() | st.lists(st.sampled_from([b"\r\n", b"--edge", b"\r\n--edg", b"--", b"\r", b"x"])).map(b"".join),
    st.integers(0, 4),
    st.lists(st.integers(1, 9), max_size=100),
)
def test_fields_and_file_come_out_as_they_went_in_whatever_the_order_and_the_cuts(
    fields: dict[str, str], content: bytes, place: int, cuts: list[int]
) -> None:
    if b"\r\n--edge" in b"\r\n" + content:
        content = b""
    parts = [part(f'name="{name}"', value.encode()) for name, value in fields.items() if "\r\n--edge" not in value]
    parts.insert(place, part('name="file"; filename="x"', content))
    found, files = read(b"".join(parts) + END, cuts)
    assert found == fields
    assert [(file.name, kept.content) for file, kept in files.found] == [("file", content)]


def test_a_file_part_brings_the_client_s_name_and_type() -> None:
    head = 'name="file"; filename="../é \\"x\\".qcow2"\r\nContent-Type: application/x-qemu-disk'
    _, files = read(part(head, b"QFI") + END)
    assert files.found[0][0] == FilePart("file", '../é "x".qcow2', "application/x-qemu-disk")


def test_a_named_file_field_is_a_file_also_without_a_file_name() -> None:
    fields, files = read(part('name="file"', b"QFI") + part('name="a"', b"b") + END, file_fields=("file",))
    assert fields == {"a": "b"}
    assert files.found[0][1].content == b"QFI"


def test_what_follows_the_closing_boundary_means_nothing() -> None:
    assert read(part('name="a"', b"b") + END + b"epilogue" + part('name="c"', b"d"))[0] == {"a": "b"}


@pytest.mark.parametrize("length", range(len(part('name="a"', b"b") + END) - 3))
def test_a_form_cut_off_anywhere_is_broken(length: int) -> None:
    with pytest.raises(UploadBroken):
        read((part('name="a"', b"b") + END)[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"--other\r\n\r\n",
        b"no form at all, just text",
        b'{"name": "a"}',
        b"--edge\r\n\r\nno head\r\n" + END,
        b'--edge\r\nContent-Disposition: attachment; name="a"\r\n\r\nb\r\n' + END,
        b"--edge\r\nContent-Disposition: form-data\r\n\r\nb\r\n" + END,
        part('name="a"', b"\xff") + END,
        b'--edge\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nb\r\n' + END,
        b"--edge\r\nX-Long: " + b"x" * 5000 + b"\r\n\r\nb\r\n" + END,
        b"--edge\r\n" + b"X: y\r\n" * 100 + b"\r\nb\r\n" + END,
        b"".join(part(f'name="a{index}"', b"b") for index in range(65)) + END,
        part('name="a"', b"b" * (64 * 1024 + 1)) + END,
        b"--edge\rX",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_malformed_form_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        read(body)


@given(
    st.binary()
    | st.lists(st.sampled_from([b"--edge", b"\r\n", b"--", b":", b"Content-Disposition: form-data; name=a", b"x"])).map(
        b"".join
    )
)
def test_no_bytes_make_it_raise_anything_else(body: bytes) -> None:
    try:
        read(body)
    except PinakesError as error:
        assert isinstance(error, Invalid | UploadBroken)  # noqa: PT017


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/mixed; boundary=edge",
        "application/json",
        "multipart/form-data; boundary=漢",
    ],
)
def test_a_content_type_without_a_boundary_is_invalid(content_type: str) -> None:
    with pytest.raises(Invalid):
        asyncio.run(_read_form(content_type, part('name="a"', b"b") + END, lambda _: None))


def test_a_form_is_read_from_the_wire_and_an_unwanted_file_dropped() -> None:
    body = part('name="a"', b"b") + part('name="file"; filename="x"', b"y" * 3_000_000) + END
    assert asyncio.run(_read_form(TYPE, body, lambda _: None)) == {"a": "b"}


def test_what_a_file_s_sink_raises_comes_out() -> None:
    class Full:
        def write(self, _: bytes | bytearray) -> None:
            raise StorageFull

    body = part('name="file"; filename="x"', b"y" * 3_000_000) + END
    with pytest.raises(StorageFull):
        asyncio.run(_read_form(TYPE, body, lambda _: Full()))


async def _read_form(content_type: str, body: bytes, on_file: object) -> dict[str, str]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    bridge = Bridge(inline=True)
    try:
        return await read_form(chunks(), content_type, on_file, bridge)  # type: ignore[arg-type]
    finally:
        bridge.close()
