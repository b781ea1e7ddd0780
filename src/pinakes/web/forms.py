"""multipart/form-data, read as it comes: fields into memory within limits, files straight to where they go."""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Final, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pinakes.core.errors import Invalid, UploadBroken
from pinakes.web.bridge import Bridge
from pinakes.web.feed import Feed, Sink

MAX_PARTS: Final = 64
MAX_FIELD_BYTES: Final = 64 * 1024
_MAX_HEADERS: Final = 16
_MAX_HEADER_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class FilePart:
    """The head of a file part. The file name is the client's text: never use it as a path."""

    name: str
    file_name: str
    content_type: str


OnFile = Callable[[FilePart], Sink | None]


@dataclass(frozen=True, slots=True)
class PartHead:
    """The head of any part. file_name: None if the part has none, which is not the same as an empty one."""

    name: str
    file_name: str | None
    content_type: str


class Parts(Protocol):
    """What is told of the parts of a form, in their order; whatever it raises ends the reading."""

    def begin_part(self, head: PartHead) -> None: ...

    def take_data(self, piece: bytes) -> None: ...

    def end_part(self) -> None: ...


async def read_form(
    chunks: AsyncIterator[bytes],
    content_type: str,
    on_file: OnFile,
    bridge: Bridge,
    *,
    file_fields: Collection[str] = (),
) -> dict[str, str]:
    """Read a whole form; its fields, of repeated ones the last.

    chunks: the body, as from `transfer.chunks`.   content_type: the request's header.
    on_file: called in a thread when a file begins; the file's bytes are written, in that thread, to what it returns,
    or dropped if that is None. A file is a part with a file name, or one named in file_fields. The caller finishes or
    discards the sink; no thread uses it after return.
    Raises Invalid for what is no such form or exceeds its limits (64 parts, 64 KiB a field), UploadBroken if it ends
    before its closing boundary, and what on_file or its sink raise.
    """
    reader = FormReader(boundary_of(content_type), on_file, file_fields)
    async with Feed(reader.feed, bridge) as feed:
        async for chunk in chunks:
            await feed.put(chunk)
    return reader.close()


class FormReader:
    """The parser behind `read_form`: `feed` it pieces, then `close` it."""

    def __init__(self, boundary: bytes, on_file: OnFile, file_fields: Collection[str] = ()) -> None:
        self._on_file = on_file
        self._file_fields = file_fields
        self._fields: dict[str, str] = {}
        self._parts = 0
        self._field_name = ""
        self._field: bytearray | None = None
        self._sink: Sink | None = None
        self._reader = PartReader(boundary, self)

    def feed(self, piece: bytes | bytearray) -> None:
        """Raises Invalid, and what on_file or its sink raise."""
        self._reader.feed(piece)

    def close(self) -> dict[str, str]:
        """The fields. Raises UploadBroken if the form did not come to its end."""
        if not self._reader.is_complete:
            raise UploadBroken
        return self._fields

    def begin_part(self, head: PartHead) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Invalid(f"The form has more than {MAX_PARTS} parts.")
        if head.file_name is None and head.name not in self._file_fields:
            self._field_name, self._field = head.name, bytearray()
            return
        self._field = None
        self._sink = self._on_file(FilePart(head.name, head.file_name or "", head.content_type))

    def take_data(self, piece: bytes) -> None:
        if self._field is not None:
            if len(self._field) + len(piece) > MAX_FIELD_BYTES:
                raise Invalid(f"A field of the form is larger than {MAX_FIELD_BYTES} bytes.")
            self._field += piece
        elif self._sink is not None:
            self._sink.write(piece)

    def end_part(self) -> None:
        if self._field is not None:
            self._fields[self._field_name] = text_of(self._field)
        self._field = self._sink = None


class PartReader:
    """The parts of a form one after the other, as its bytes come, whatever they mean.

    is_complete: the closing boundary was seen.   part_offset: at which byte of the form the present part's headers
    begin.
    """

    def __init__(self, boundary: bytes, parts: Parts) -> None:
        self.is_complete = False
        self.part_offset = 0
        self._parts = parts
        self._fed = 0
        self._headers: dict[bytes, bytes] = {}
        self._is_headless = True
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._take_header_name,
                "on_header_value": self._take_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._take_data,
                "on_part_end": parts.end_part,
                "on_end": self._end,
            },
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_BYTES,
        )

    def feed(self, piece: bytes | bytearray) -> None:
        """Raises Invalid for what is no form, and what `parts` raises."""
        if self.is_complete:
            return  # what follows the closing boundary means nothing (RFC 2046 section 5.1.1)
        try:
            self._parser.write(bytes(piece))
        except FormParserError as exc:
            raise Invalid("The form is not valid multipart/form-data.") from exc
        self._fed += len(piece)

    def _begin_part(self) -> None:
        self._headers = {}
        self._is_headless = True

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        if self._is_headless:
            self._is_headless = False
            self.part_offset = self._fed + start
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name = bytearray()
        self._header_value = bytearray()

    def _end_headers(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise Invalid("A part of the form has no name.")
        file_name = text_of(options[b"filename"]) if b"filename" in options else None
        content_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self._parts.begin_part(PartHead(text_of(options[b"name"]), file_name, content_type))

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._parts.take_data(data[start:end])

    def _end(self) -> None:
        self.is_complete = True


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type announces. Raises Invalid if that is no form's."""
    try:
        kind, options = parse_options_header(content_type)
    except ValueError as exc:  # text that is not Latin-1
        raise Invalid("The Content-Type is not readable.") from exc
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 70:  # RFC 2046 section 5.1.1
        raise Invalid("The form has no valid boundary.")
    return boundary


def text_of(value: bytes | bytearray) -> str:
    """The text of a field. Raises Invalid if it is not UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise Invalid("A field of the form is not UTF-8.") from exc
