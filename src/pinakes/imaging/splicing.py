"""Tiles of a TIFF file given away as they are stored: a whole JPEG made from the tile's bytes, without decoding one.

    stored:   SOI                      [frame, scan]  EOI      the tables lie once in the directory, field JPEGTables
    spliced:  SOI  [Adobe]  [tables]   [frame, scan]  EOI

A viewer knows no TIFF fields: it takes three components for YCbCr unless an Adobe marker says otherwise. So tiles of
RGB get that marker, and whatever a viewer could take for another colour space is not given away. Rules: TIFF Technical
Note 2; ITU-T T.81, annex B; ITU-T T.872, 6.5.3 (the Adobe marker).
"""

from abc import abstractmethod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pinakes.imaging import directories
from pinakes.imaging.closing import Closing
from pinakes.imaging.directories import Directory, Tiff
from pinakes.imaging.source import Size, StoredTile, Unreadable
from pinakes.imaging.tilemap import MOST_TILE_BYTES, MOST_TILES, Splice, TileMap

JPEG: Final = 7
"""Of the field Compression: JPEG as the Technical Note has it, not the older kind of TIFF 6.0."""

_GREY, _RGB, _YCBCR = 1, 2, 6
_SAMPLES: Final = {_GREY: 1, _RGB: 3, _YCBCR: 3}

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_DHT, _SOS, _DQT, _DRI, _JFIF, _ADOBE = 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE
_FRAMES: Final = {0xC0, 0xC1, 0xC2}
"""Baseline, extended and progressive with Huffman coding: what every viewer decodes."""

_ADOBE_RGB: Final = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


class StoredTiles:
    """Where the tiles of one directory lie in the file, row by row.

    size: of the picture.   tile: of each tile; those at the right and lower edge are as large, and partly empty.
    Raises Unreadable if the directory names fewer tiles than its picture needs, ValueError if it is not tiled.
    """

    def __init__(self, tiff: Tiff, directory: Directory) -> None:
        tile = tiff.tile(directory)
        if tile is None:
            raise ValueError("not tiled")
        self.size, self.tile = tiff.size(directory), tile
        self.columns, self.rows = -(-self.size.width // tile.width), -(-self.size.height // tile.height)
        self._tiff = tiff
        self._offsets = _whole_numbers(tiff, directory, directories.TILE_OFFSETS)
        self._counts = _whole_numbers(tiff, directory, directories.TILE_COUNTS)
        if min(self._offsets.size, self._counts.size) < self.columns * self.rows:
            raise Unreadable("The TIFF file names fewer tiles than its picture needs.")

    def has_all(self, columns: slice, rows: slice) -> bool:
        """Whether no tile in these columns and rows was left out."""
        grid = self._counts[: self.columns * self.rows].reshape(self.rows, self.columns)
        return bool(np.all(grid[rows, columns]))

    def read(self, column: int, row: int) -> bytes:
        """The bytes of one tile; none for one that was left out. Raises IndexError for one outside, Unreadable."""
        if not (0 <= column < self.columns and 0 <= row < self.rows):
            raise IndexError("there is no such tile")
        index = row * self.columns + column
        count = int(self._counts[index])
        if count > MOST_TILE_BYTES:
            raise Unreadable("A tile of the TIFF file is larger than 64 MiB.")
        return self._tiff.read(int(self._offsets[index]), count) if count else b""

    def map(self, splice: Splice) -> TileMap | None:
        """Where they all lie; None for too many tiles, or too large ones."""
        number = self.columns * self.rows
        counts = self._counts[:number]
        if number > MOST_TILES or counts.max() > MOST_TILE_BYTES:
            return None
        offsets = self._offsets[:number].astype("<u8")
        return TileMap(self.size, self.tile, offsets.tobytes(), counts.astype("<u4").tobytes(), splice)

    @property
    def first(self) -> tuple[int, int] | None:
        """Column and row of the first tile that was not left out."""
        found = np.flatnonzero(self._counts[: self.columns * self.rows])
        return (int(found[0]) % self.columns, int(found[0]) // self.columns) if found.size else None


class Splicer:
    """Makes whole JPEGs of the tiles of one directory. Made by `splicer_of`."""

    def __init__(self, tiles: StoredTiles, photometric: int, tables: bytes) -> None:
        self.tiles = tiles
        self._photometric = photometric
        self._tables = tables
        self._table_markers = _markers_of(tables)
        self._splice: Splice | None = None

    def whole(self, column: int, row: int) -> bytes | None:
        """The JPEG of one tile, with its empty part if it lies at an edge; None if it cannot be given away as it is.

        Raises IndexError for a tile outside, Unreadable for one whose bytes do not lie in the file.
        """
        stored = self.tiles.read(column, row)
        # The tiles of a directory begin alike; what was judged once is not judged again.
        if self._splice is None or not stored.startswith(self._splice.head):
            judged = self._judged(stored)
            if judged is None:
                return None
            self._splice = judged
        return self._splice.whole(stored)

    def stored_tile(self, column: int, row: int) -> StoredTile | None:
        """As `whole`, for viewers: None also for a tile that shows anything beyond the picture's edge."""
        size, tile = self.tiles.size, self.tiles.tile
        if (column + 1) * tile.width > size.width or (row + 1) * tile.height > size.height:
            self.tiles.read(column, row)
            return None
        jpeg = self.whole(column, row)
        return None if jpeg is None else StoredTile(jpeg, tile)

    def map(self) -> TileMap | None:
        """What others need to do as `stored_tile` does, for tiles that begin like the first; None if there is none.

        Raises Unreadable.
        """
        first = self.tiles.first
        if first is None or self.whole(*first) is None or self._splice is None:
            return None
        return self.tiles.map(self._splice)

    def _judged(self, stored: bytes) -> Splice | None:
        """What makes a tile that begins like this one that any viewer shows right; None if nothing does."""
        try:
            head = _Head(stored)
        except ValueError:
            return None
        right_frame = (
            head.size == self.tiles.tile and head.precision == 8 and len(head.components) == _SAMPLES[self._photometric]
        )
        if not right_frame or not head.is_plain or not {_DQT, _DHT} <= head.markers | self._table_markers:
            return None
        insertion = self._tables
        if self._photometric == _RGB:
            # JFIF outranks Adobe for some viewers; a file that says both, or another transform, is decoded instead.
            if head.has_jfif or head.adobe_transform not in (None, 0):
                return None
            insertion = insertion if head.adobe_transform == 0 else _ADOBE_RGB + insertion
        elif self._photometric == _YCBCR and not _is_taken_for_ycbcr(head):
            return None
        return Splice(stored[: head.length], insertion)


class SplicedLevels(Closing):
    """Base of sources of which some levels have tiles that can be given away as they are."""

    @abstractmethod
    def _splicer(self, level: int) -> Splicer | None:
        """Of a level; None for one without. Raises IndexError for one that is not there."""

    def stored_tile(self, level: int, column: int, row: int) -> StoredTile | None:
        """As ImageSource says: of the first frame."""
        splicer = self._splicer(level)
        return None if splicer is None else splicer.stored_tile(column, row)

    def tile_map(self, level: int) -> TileMap | None:
        """As MappedSource says: of the first frame."""
        splicer = self._splicer(level)
        return None if splicer is None else splicer.map()


def splicer_of(tiff: Tiff, directory: Directory) -> Splicer | None:
    """What splices this directory's tiles; None if they are not tiles of 8-bit JPEG in grey, RGB or YCbCr.

    Raises Unreadable if the directory is damaged.
    """
    photometric = tiff.number(directory, directories.PHOTOMETRIC, -1)
    fits = (
        tiff.number(directory, directories.COMPRESSION, 1) == JPEG
        and tiff.tile(directory) is not None
        and tiff.number(directory, directories.BITS, 1) == 8
        and tiff.number(directory, directories.SAMPLES, 1) == _SAMPLES.get(photometric)
        and (tiff.number(directory, directories.PLANAR, 1) == 1 or photometric == _GREY)
    )
    tables = tables_within(tiff.raw(directory, directories.JPEG_TABLES))
    return Splicer(StoredTiles(tiff, directory), photometric, tables) if fits and tables is not None else None


def tables_within(stream: bytes) -> bytes | None:
    """The quantisation and Huffman tables of the field JPEGTables, ready to be put into a JPEG; none for an empty one.

    None if it is damaged or holds anything else.
    """
    if not stream:
        return b""
    end = stream.rfind(_EOI)
    if not stream.startswith(_SOI) or end < 2 or stream[end + 2 :].strip(b"\0"):
        return None
    tables = stream[2:end]
    try:
        return tables if _markers_of(tables) <= {_DQT, _DHT, _DRI} else None
    except ValueError:
        return None


def frame_size(jpeg: bytes) -> Size | None:
    """The size that a JPEG's own header claims, of any coding; None if there is no header."""
    place = 2
    while place + 9 <= len(jpeg) and jpeg[place] == 0xFF:
        marker = jpeg[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (_DHT, 0xC8, 0xCC):
            return Size(int.from_bytes(jpeg[place + 7 : place + 9]), int.from_bytes(jpeg[place + 5 : place + 7]))
        place += 1 if marker == 0xFF else 2 + int.from_bytes(jpeg[place + 2 : place + 4])
    return None


class _Head:
    """What a tile's JPEG says of itself before its pixels begin. Raises ValueError if it is no JPEG.

    length: up to and with the scan's header.   is_plain: it holds nothing but what the pixels need: no text, no
    Exif, no thumbnail.
    """

    def __init__(self, jpeg: bytes) -> None:
        if not jpeg.startswith(_SOI):
            raise ValueError("no JPEG")
        self.size: Size | None = None
        self.precision = 0
        self.components = b""
        self.has_jfif = False
        self.adobe_transform: int | None = None
        self.is_plain = True
        self.markers: set[int] = set()
        self.length = 2
        while _SOS not in self.markers:
            marker, body = _segment(jpeg, self.length)
            self.markers.add(marker)
            self._take(marker, body)
            self.length += 4 + len(body)

    def _take(self, marker: int, body: bytes) -> None:
        if marker in _FRAMES and self.size is None and len(body) >= 6:
            self.precision = body[0]
            self.size = Size(int.from_bytes(body[3:5]), int.from_bytes(body[1:3]))
            self.components = body[6 : 6 + 3 * body[5] : 3]
        elif marker == _JFIF and body.startswith(b"JFIF\0") and len(body) == 14:
            self.has_jfif = True
        elif marker == _ADOBE and body.startswith(b"Adobe") and len(body) == 12:
            self.adobe_transform = body[11]
        elif marker not in (_DQT, _DHT, _DRI, _SOS):
            self.is_plain = False


def _markers_of(segments: bytes) -> set[int]:
    """The markers of a run of segments. Raises ValueError if it is anything else."""
    markers, place = set(), 0
    while place < len(segments):
        marker, body = _segment(segments, place)
        markers.add(marker)
        place += 4 + len(body)
    return markers


def _segment(jpeg: bytes, place: int) -> tuple[int, bytes]:
    """The marker at a place and what it holds. Raises ValueError if there is none."""
    length = int.from_bytes(jpeg[place + 2 : place + 4])
    body = jpeg[place + 4 : place + 2 + length]
    if jpeg[place : place + 1] != b"\xff" or length < 2 or len(body) != length - 2:
        raise ValueError("no JPEG")
    return jpeg[place + 1], body


def _is_taken_for_ycbcr(head: _Head) -> bool:
    """Whether viewers take its three components for YCbCr (libjpeg, default_decompress_parms)."""
    if head.has_jfif:
        return head.adobe_transform in (None, 1)
    if head.adobe_transform is not None:
        return head.adobe_transform == 1
    return head.components == b"\x01\x02\x03"


def _whole_numbers(tiff: Tiff, directory: Directory, tag: int) -> NDArray[np.unsignedinteger]:
    numbers = tiff.numbers(directory, tag)
    if not np.issubdtype(numbers.dtype, np.unsignedinteger):
        raise Unreadable("The TIFF file says where its tiles lie in numbers that cannot say so.")
    return numbers.astype(numbers.dtype, copy=False)
