"""The formats that annotations come and go in."""

import enum
from collections.abc import Iterator

from pinakes.core.annotations import aperio, asap, geojson
from pinakes.core.annotations.dialect import gathered
from pinakes.core.annotations.model import Markup

XML = "application/xml"


class Format(enum.StrEnum):
    """Who writes it first of all: ImageScope, ASAP, QuPath."""

    APERIO = "aperio"
    ASAP = "asap"
    GEOJSON = "geojson"

    @property
    def media_type(self) -> str:
        return geojson.MEDIA_TYPE if self is Format.GEOJSON else XML

    @property
    def revision(self) -> str:
        """To be told from others of the same annotation: changes with the format and with how it is written."""
        return _REVISIONS[self]


XML_FORMATS = frozenset({Format.APERIO, Format.ASAP})
ALL_FORMATS = frozenset(Format)

_REVISIONS = {Format.APERIO: aperio.REVISION, Format.ASAP: asap.REVISION, Format.GEOJSON: geojson.REVISION}


def write(format: Format, markup: Markup) -> Iterator[bytes]:
    """The document in pieces of about 64 KiB; the same markup always gives the same bytes.

    What the three share is read back the same: names, colours, polygons, holes and points. Raises WrongState, before
    the first piece, for what the format cannot tell (see `geojson`).
    """
    match format:
        case Format.APERIO:
            return gathered(aperio.write(markup))
        case Format.ASAP:
            return gathered(asap.write(markup))
        case Format.GEOJSON:
            return geojson.write(markup)
