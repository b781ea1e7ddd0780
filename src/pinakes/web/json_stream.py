"""A JSON object of which one member may be a huge string, read in constant memory.

    {"type": "Xray", "patient": 7, "data": "/9j/4AAQSkZJRg…64 MiB…", "clinic": 1}
                                            └── to the sink, piece by piece ──┘

The rest, with that string emptied, is gathered and parsed strictly at the end. The scanner here only has to find the
string: where the document is not JSON it may go astray, but then what it gathered is not JSON either, for it drops
nothing but what stands between two quotes and is a valid string.
"""

import enum
import re
from typing import Any, Final, Protocol

import msgspec

from pinakes.core.errors import Invalid
from pinakes.web.jsonbody import decode_object

MAX_DEPTH: Final = 256

_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_SPACE: Final = b" \t\r\n"
_STRUCTURE: Final = re.compile(rb'["{}\[\]:,]')
_STRING_RUN: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_HIGH_SURROGATE: Final = re.compile(rb"\\u[Dd][89ABab][0-9A-Fa-f]{2}")
_ESCAPE_BYTES: Final = 6
_SLICE_BYTES: Final = 256 * 1024
_text_decoder: Final = msgspec.json.Decoder(str)


class Member(enum.Enum):
    """What became of the streamed member."""

    ABSENT = "absent"
    OTHER = "other"  # it is there, but no string
    STRING = "string"  # it went to the sink


class TextSink(Protocol):
    """What takes the pieces of the string."""

    def write(self, text: str, /) -> object: ...

    def reset(self) -> object:
        """Forget everything: the member came again, and its last value counts."""


class _State(enum.Enum):
    OUTSIDE = 1  # between strings
    STRING = 2  # in a string that is gathered
    TEXT = 3  # in the string that is streamed


class ObjectReader:
    """`feed` it the body in pieces of any size, then `close` it. Both raise Invalid, and what the sink raises.

    member: the name of the top-level member that is streamed if it is a string.
    max_other_bytes: the limit on everything else together.
    `kind` says after `close` what the member was.
    """

    def __init__(self, member: str, sink: TextSink, max_other_bytes: int = 1024 * 1024) -> None:
        self.kind = Member.ABSENT
        self._member = member
        self._sink = sink
        self._max_other_bytes = max_other_bytes
        self._other = bytearray()
        self._buffer = b""
        self._state = _State.OUTSIDE
        self._depth = 0
        self._key_start: int | None = None
        self._key: bytes = b""
        self._is_at_key = False
        self._is_at_member = False

    def feed(self, piece: bytes | bytearray) -> None:
        """Take the next piece."""
        for start in range(0, len(piece), _SLICE_BYTES):
            self._feed(self._buffer + piece[start : start + _SLICE_BYTES])

    write = feed  # so that it can stand where an upload does

    def close(self) -> dict[str, Any]:
        """All members but the streamed one."""
        if self._state is not _State.OUTSIDE or self._buffer:
            raise Invalid("The body is not valid JSON.")
        members = decode_object(self._other)
        members.pop(self._member, None)
        return members

    def _feed(self, data: bytes) -> None:
        self._buffer = b""
        position: int | None = 0
        while position is not None and position < len(data):
            if self._state is _State.OUTSIDE:
                position = self._outside(data, position)
            elif self._state is _State.STRING:
                position = self._string(data, position)
            else:
                position = self._text(data, position)

    def _outside(self, data: bytes, position: int) -> int | None:
        """Walk over structure until a string begins."""
        start = position
        while (match := _STRUCTURE.search(data, position)) is not None:
            position = match.end()
            if match[0] == b'"':
                self._gather(data, start, position)
                self._begin_string()
                return position
            if self._depth == 0 and match[0] != b"{":
                raise Invalid("The body is not a JSON object.")
            self._step(match[0])
        if self._depth == 0 and not self._other.strip(_SPACE) and (data[start:].strip(_SPACE) or b"{")[:1] != b"{":
            raise Invalid("The body is not a JSON object.")
        self._gather(data, start, len(data))
        return None

    def _step(self, mark: bytes) -> None:
        if mark in b"{[":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise Invalid("The body is nested too deeply.")
            self._is_at_key = self._depth == 1
        elif mark in b"}]":
            self._depth -= 1
        elif self._depth == 1 and mark == b",":
            self._is_at_key, self._is_at_member = True, False
        elif self._depth == 1 and mark == b":":
            self._is_at_key = False
            self._end_key()

    def _begin_string(self) -> None:
        if self._depth == 1 and self._is_at_member:
            self._state = _State.TEXT
            self._is_at_member = False
            self.kind = Member.STRING
        else:
            self._state = _State.STRING
            if self._depth == 1 and self._is_at_key:
                self._key_start = len(self._other) - 1

    def _end_key(self) -> None:
        """A colon at the top level: its key decides whether the value is the streamed one."""
        if _decode(self._key) != self._member:
            return
        self._is_at_member = True
        if self.kind is Member.STRING:
            self._sink.reset()
        self.kind = Member.OTHER

    def _string(self, data: bytes, position: int) -> int | None:
        """Gather a string up to its closing quote."""
        end = _STRING_RUN.match(data, position).end()  # type: ignore[union-attr]  # it matches the empty string
        if end == len(data) or data[end] != _QUOTE:
            self._gather(data, position, end)
            self._buffer = data[end:]  # a backslash whose escape is cut off, or nothing
            return None
        self._gather(data, position, end + 1)
        self._state = _State.OUTSIDE
        if self._key_start is not None:
            self._key = bytes(self._other[self._key_start :])
            self._key_start = None
        return end + 1

    def _text(self, data: bytes, position: int) -> int | None:
        """Hand on the streamed string up to its closing quote, or to where it is cut off."""
        end = _closing_quote(data, position)
        if end is not None:
            self._hand_on(data[position:end])
            self._gather(data, end, end + 1)
            self._state = _State.OUTSIDE
            return end + 1
        cut = _cut(data, position)
        self._hand_on(data[position:cut])
        self._buffer = data[cut:]
        return None

    def _hand_on(self, raw: bytes) -> None:
        if raw:
            self._sink.write(_decode(b'"%b"' % raw))

    def _gather(self, data: bytes, start: int, end: int) -> None:
        if len(self._other) + end - start > self._max_other_bytes:
            raise Invalid(f"The body has more than {self._max_other_bytes} bytes beside its member {self._member}.")
        self._other += data[start:end]


def _closing_quote(data: bytes, start: int) -> int | None:
    """The first quote that is not escaped, in text that begins at `start`."""
    quote = data.find(b'"', start)
    if quote <= start or data[quote - 1] != _BACKSLASH:
        return quote if quote >= 0 else None
    end = _STRING_RUN.match(data, start).end()  # type: ignore[union-attr]  # it matches the empty string
    return end if end < len(data) and data[end] == _QUOTE else None


def _cut(data: bytes, start: int) -> int:
    """Where text that goes on can be cut: after whole characters, whole escapes and whole surrogate pairs."""
    end = len(data)
    escape = data.rfind(b"\\", max(start, end - _ESCAPE_BYTES))
    if escape >= 0 and _is_escape(data, start, escape):
        length = _ESCAPE_BYTES if data[escape + 1 : escape + 2] == b"u" else 2
        if end - escape < length:
            return _before_high_surrogate(data, start, escape)
    return _before_high_surrogate(data, start, end - _cut_character(data, start))


def _before_high_surrogate(data: bytes, start: int, end: int) -> int:
    """The same end, unless the first half of a surrogate pair stands before it."""
    first = end - _ESCAPE_BYTES
    if first >= start and _HIGH_SURROGATE.match(data, first, end) and _is_escape(data, start, first):
        return first
    return end


def _cut_character(data: bytes, start: int) -> int:
    """How many bytes at the end belong to a UTF-8 sequence that is cut off."""
    for back in range(1, min(3, len(data) - start) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < length else 0
        if byte < 0x80:
            break
    return 0


def _is_escape(data: bytes, start: int, position: int) -> bool:
    """Whether the backslash at a position begins an escape, and is not the second of an escaped backslash."""
    before = data[start:position]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 0


def _decode(quoted: bytes) -> str:
    try:
        return _text_decoder.decode(quoted)
    except ValueError as exc:  # msgspec's own errors, and UnicodeDecodeError
        raise Invalid("The body has an invalid string.") from exc
