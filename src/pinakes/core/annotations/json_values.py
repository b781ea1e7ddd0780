"""A large JSON document cut into values as it comes, with little of it in memory.

    {"type": "FeatureCollection", "features": [{...}, {...}, ...], "name": "..."}
                                               └ each to `on_item` ┘
     └ the rest, to be parsed at the end: {"type": "FeatureCollection", "name": "..."} ┘

Here only the ends of values are looked for: of an object by its braces alone, of an array by its brackets alone, both
outside of strings. In valid JSON that finds them; where it does not, what was cut is not valid either, and whoever
parses it, strictly, will tell.
"""

import enum
import re
from collections.abc import Callable
from typing import Final

from pinakes.core.annotations.dialect import Malformed

MAX_DEPTH: Final = 64
MAX_MEMBERS: Final = 1_000
"""Of the root."""

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NEXT: Final = {
    b"{": re.compile(rb'[^"{}]*+(' + _STRING + rb'|["{}]|\Z)', re.DOTALL),
    b"[": re.compile(rb'[^"\[\]]*+(' + _STRING + rb'|["\[\]]|\Z)', re.DOTALL),
}
"""What comes next of strings, what opens and what closes; a run of anything else before it is skipped at once.

At the end of what has come the token is empty: were there none, each place of the run would be tried in turn.
"""
_CLOSING: Final = {b"{": b"}", b"[": b"]"}
_WHOLE_STRING: Final = re.compile(_STRING, re.DOTALL)
_LITERAL: Final = re.compile(rb"[^\s,\]}:\"\[{]++")
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_BOM: Final = b"\xef\xbb\xbf"
_MOST_STRING_BYTES: Final = 1024 * 1024
_MOST_LITERAL_BYTES: Final = 1024
_CUT: Final = "it ends in the middle"


class _State(enum.Enum):
    ROOT = enum.auto()  # before the root
    MEMBER = enum.auto()  # before a member of the root, or its end
    COLON = enum.auto()
    VALUE = enum.auto()  # before a member's value
    AFTER_MEMBER = enum.auto()
    ITEM = enum.auto()  # before an item, or the end of the array
    AFTER_ITEM = enum.auto()
    END = enum.auto()


class ValueCutter:
    """`feed` it a document whose root is an object, or an array, which is then the streamed one; then `close` it.

    member: the member of the root whose items are streamed.   on_item: told of each, as bytes that should be an object.
    max_bytes: of one item, and of all that is not streamed.   Both raise Malformed, and what on_item raises.
    """

    def __init__(self, member: bytes, on_item: Callable[[bytes], None], max_bytes: int) -> None:
        self.is_array = False
        self.has_items = False
        self._member = b'"' + member + b'"'
        self._on_item = on_item
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._state = _State.ROOT
        self._key = b""
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._is_first = True
        self._depth = 0
        self._scanned = 0  # how much of the buffer belongs to a value that has begun

    def feed(self, piece: bytes | bytearray) -> None:
        """Take the next piece."""
        self._buffer += piece
        position = 0
        while True:
            space = _SPACE.match(self._buffer, position)
            assert space is not None
            position = space.end()
            if position == len(self._buffer):
                break
            following = self._step(position)
            if following is None:
                break
            position = following
        del self._buffer[:position]

    def close(self) -> bytes:
        """All but the items, as an object."""
        if self._state is not _State.END or self._buffer:
            raise Malformed(_CUT)
        return b"{" + b",".join(self._rest) + b"}"

    def _step(self, position: int) -> int | None:
        """Take the next token or value; where it ends, None if it has not come whole."""
        byte = bytes(self._buffer[position : position + 1])
        match self._state:
            case _State.ROOT:
                return self._begin(byte, position)
            case _State.MEMBER | _State.AFTER_MEMBER if byte == b"}" and (
                self._is_first or self._state is _State.AFTER_MEMBER
            ):
                self._state = _State.END
                return position + 1
            case _State.MEMBER:
                return self._take_key(byte, position)
            case _State.COLON:
                return self._expect(byte, b":", _State.VALUE, position)
            case _State.VALUE:
                return self._take_member(byte, position)
            case _State.AFTER_MEMBER:
                self._is_first = False
                return self._expect(byte, b",", _State.MEMBER, position)
            case _State.ITEM | _State.AFTER_ITEM if byte == b"]" and (
                self._is_first or self._state is _State.AFTER_ITEM
            ):
                self._state = _State.END if self.is_array else _State.AFTER_MEMBER
                return position + 1
            case _State.ITEM:
                return self._take_item(byte, position)
            case _State.AFTER_ITEM:
                self._is_first = False
                return self._expect(byte, b",", _State.ITEM, position)
            case _:
                raise Malformed("something follows its end")

    def _begin(self, byte: bytes, position: int) -> int | None:
        if self._buffer.startswith(_BOM, position):
            return position + len(_BOM)
        if byte == b"[":
            self._state, self.is_array, self.has_items = _State.ITEM, True, True
        elif byte == b"{":
            self._state = _State.MEMBER
        else:
            raise Malformed("it is neither an object nor an array")
        return position + 1

    def _expect(self, byte: bytes, expected: bytes, following: _State, position: int) -> int:
        if byte != expected:
            raise Malformed(f"{expected.decode()!r} is missing")
        self._state = following
        return position + 1

    def _take_key(self, byte: bytes, position: int) -> int | None:
        end = self._end_of_value(byte, position)
        if end is not None:
            if byte != b'"':
                raise Malformed("the name of a member is missing")
            self._key = bytes(self._buffer[position:end])
            self._state = _State.COLON
        return end

    def _take_member(self, byte: bytes, position: int) -> int | None:
        if self._key == self._member and byte == b"[":
            if self.has_items:
                raise Malformed(f"{self._member.decode()} is there twice")
            self._state, self._is_first, self.has_items = _State.ITEM, True, True
            return position + 1
        end = self._end_of_value(byte, position)
        if end is not None:
            self._keep(self._key + b":" + self._buffer[position:end])
            self._state = _State.AFTER_MEMBER
        return end

    def _keep(self, member: bytes) -> None:
        self._rest_bytes += len(member)
        if self._rest_bytes > self._max_bytes:
            raise self._too_long()
        if len(self._rest) == MAX_MEMBERS:
            raise Malformed(f"it has more than {MAX_MEMBERS} members")
        self._rest.append(member)

    def _take_item(self, byte: bytes, position: int) -> int | None:
        if byte != b"{":
            raise Malformed("a feature is no object")
        end = self._end_of_value(byte, position)
        if end is not None:
            self._on_item(bytes(memoryview(self._buffer)[position:end]))
            self._state = _State.AFTER_ITEM
        return end

    # -- Ends ------------------------------------------------------------------------------------------------------

    def _end_of_value(self, byte: bytes, position: int) -> int | None:
        """Where the value that begins at the position ends; None if it has not come whole."""
        if byte in _CLOSING:
            end = self._end_of_nested(byte, position)
        elif byte == b'"':
            found = _WHOLE_STRING.match(self._buffer, position)
            end = found.end() if found else None
            self._check(end, position, _MOST_STRING_BYTES)
        else:
            found = _LITERAL.match(self._buffer, position)
            if found is None:
                raise Malformed("a value is missing")
            # One that ends with the piece may go on in the next.
            end = found.end() if found.end() < len(self._buffer) else None
            self._check(end, position, _MOST_LITERAL_BYTES)
        return end

    def _end_of_nested(self, opening: bytes, position: int) -> int | None:
        """The same for an object or an array; what was scanned of it is not scanned again."""
        closing = _CLOSING[opening]
        scan = position + self._scanned
        for found in _NEXT[opening].finditer(self._buffer, scan):
            token = found[1]
            if token == opening:
                self._depth += 1
                if self._depth > MAX_DEPTH:
                    raise Malformed("it is nested too deeply")
            elif token == closing:
                self._depth -= 1
                if not self._depth:
                    self._scanned = 0
                    self._check(found.end(), position, self._max_bytes)
                    return found.end()
            elif token == b'"':  # a string that has not come whole
                self._check(None, found.start(1), _MOST_STRING_BYTES)
                self._scanned = found.start(1) - position
                break
        else:
            self._scanned = len(self._buffer) - position
        self._check(None, position, self._max_bytes)
        return None

    def _check(self, end: int | None, start: int, most: int) -> None:
        if (len(self._buffer) if end is None else end) - start > most:
            raise self._too_long()

    def _too_long(self) -> Malformed:
        return Malformed("one of its values is too long")
