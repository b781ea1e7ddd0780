"""Annotation XML, read as it comes: nothing is kept but the region at hand.

The parser is expat, told to refuse every document type declaration, and with it all entities: no document can make
it grow, or look anywhere else. What a stranger's file may hold is bounded: elements, depth, and the length of a tag
(also a comment), which expat has to hold in memory until it ends.
"""

import re
from collections.abc import Callable, Mapping
from xml.parsers import expat

from pinakes.core.annotations import aperio, asap
from pinakes.core.annotations.dialect import FIELD, Attributes, Dialect, Drawing, Limits, Malformed, OnRegion
from pinakes.core.annotations.formats import Format
from pinakes.core.errors import InvalidFields

MAX_DEPTH = 64
MAX_TAG_BYTES = 1024 * 1024

_PIECE_BYTES = 64 * 1024
_ENCODING = re.compile(r"utf-?(8|16(le|be)?)|(us-)?ascii|iso-8859-[0-9]{1,2}|windows-125[0-9]", re.IGNORECASE)
"""What a document may say that it is written in: what expat knows, and the tables of eight bits that programs use."""

_ENCODING_UNKNOWN = "its encoding is not known here; save it as UTF-8"

_DIALECTS: Mapping[str, tuple[Format, Callable[[OnRegion, Limits], Dialect]]] = {
    aperio.ROOT: (Format.APERIO, aperio.AperioDialect),
    asap.ROOT: (Format.ASAP, asap.AsapDialect),
}


class XmlReader:
    """See `reading.Reader`. format: known once the root has been read."""

    def __init__(self, on_region: OnRegion, limits: Limits) -> None:
        self.format: Format | None = None
        self._on_region = on_region
        self._limits = limits
        self._dialect: Dialect | None = None
        self._depth = 0
        self._elements = 0
        self._taken = 0
        self._gathered = bytearray()
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.XmlDeclHandler = _check_declaration
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._parser.EntityDeclHandler = _refuse_entity

    def feed(self, piece: bytes | bytearray) -> None:
        """Take the next piece."""
        # An unfinished tag is scanned again with every piece, so tiny ones are gathered and large ones cut.
        self._gathered += piece
        if len(self._gathered) < _PIECE_BYTES:
            return
        gathered, self._gathered = self._gathered, bytearray()
        for start in range(0, len(gathered), _PIECE_BYTES):
            self._parse(gathered[start : start + _PIECE_BYTES])

    def close(self) -> Drawing:
        """What was read, with its layers."""
        self._parse(self._gathered, is_last=True)
        assert self._dialect is not None  # a document that expat takes has a root
        return self._dialect

    def _parse(self, piece: bytearray, *, is_last: bool = False) -> None:
        try:
            self._parser.Parse(bytes(piece), is_last)
        except Malformed as exc:
            raise self._invalid(str(exc)) from exc
        except expat.ExpatError as exc:
            raise self._invalid(f"it is not well-formed XML: {expat.ErrorString(exc.code)}") from exc
        except (LookupError, ValueError) as exc:  # Python has no such codec
            raise self._invalid(_ENCODING_UNKNOWN) from exc
        self._taken += len(piece)
        if self._taken - self._parser.CurrentByteIndex > MAX_TAG_BYTES:
            raise self._invalid(f"a tag or a comment is longer than {MAX_TAG_BYTES} bytes")

    def _invalid(self, reason: str) -> InvalidFields:
        return InvalidFields.one(FIELD, f"line {self._parser.CurrentLineNumber}: {reason}")

    def _start(self, tag: str, attributes: Attributes) -> None:
        self._elements += 1
        self._depth += 1
        if self._elements > self._limits.elements:
            raise Malformed(f"there are more than {self._limits.elements} elements")
        if self._depth > MAX_DEPTH:
            raise Malformed(f"it is nested more than {MAX_DEPTH} deep")
        if self._dialect is None:
            self._dialect = self._choose(tag)
        self._dialect.start(self._depth, tag, attributes)

    def _end(self, tag: str) -> None:
        assert self._dialect is not None
        self._dialect.end(self._depth, tag)
        self._depth -= 1

    def _choose(self, root: str) -> Dialect:
        if root not in _DIALECTS:
            raise Malformed(f"the root is neither {aperio.ROOT} nor {asap.ROOT}")
        self.format, dialect = _DIALECTS[root]
        return dialect(self._on_region, self._limits)


def _check_declaration(version: str, encoding: str | None, standalone: int) -> None:  # noqa: ARG001 - expat's
    if encoding is not None and not _ENCODING.fullmatch(encoding):
        raise Malformed(_ENCODING_UNKNOWN)


def _refuse_doctype(*_: object) -> None:
    raise Malformed("it has a document type declaration, which is not taken")


def _refuse_entity(*_: object) -> None:
    raise Malformed("it declares an entity, which is not taken")
