"""Where the tiles of a level lie in their file, and how each becomes a whole JPEG: judged once, then used as it is.

Who holds a map and the file's bytes needs no more to give a tile away. That is the server itself, which parses no file
and loads no numpy; what it is told by a process that does is checked here.
"""

import struct
from typing import Final, Protocol, runtime_checkable

import msgspec

from pinakes.imaging.source import Size

MOST_TILES: Final = 4 * 1024 * 1024
"""Of a map: 270 gigapixels in tiles of 256."""

MOST_TILE_BYTES: Final = 64 * 1024 * 1024

_SOI: Final = b"\xff\xd8"
_ENDS: Final = (b"\xff\xd9", b"\xff\xd9\0")
"""A JPEG ends with the marker EOI; TIFF writers may pad it to an even length."""

_MOST_OFFSET: Final = 2**62
"""Beyond any file, and still an offset that can be asked for."""

_OFFSET: Final = struct.Struct("<Q")
_COUNT: Final = struct.Struct("<I")


class Splice(msgspec.Struct, frozen=True):
    """What makes whole JPEGs of stored tiles. head: how a tile begins that was judged, up to its pixels.

    insertion: what a viewer needs and the tile does not hold, to be put after its first marker.
    """

    head: bytes
    insertion: bytes

    def whole(self, stored: bytes) -> bytes | None:
        """The JPEG of a tile; None for one that begins otherwise than the judged one, or is cut off."""
        if not stored.startswith(self.head) or not stored.endswith(_ENDS):
            return None
        return b"".join((_SOI, self.insertion, memoryview(stored)[len(_SOI) :]))


class TileMap(msgspec.Struct, frozen=True):
    """Of one level. size: of the level.   tile: of each tile.

    offsets, counts: of the bytes of each tile, row by row, as little-endian integers of 64 and of 32 bits; a count of 0
    is a tile that was left out.
    """

    size: Size
    tile: Size
    offsets: bytes
    counts: bytes
    splice: Splice

    @property
    def columns(self) -> int:
        return -(-self.size.width // self.tile.width)

    @property
    def is_sound(self) -> bool:
        """Whether it holds what it must."""
        if min(self.size.width, self.size.height, self.tile.width, self.tile.height) < 1:
            return False
        tiles = self.columns * -(-self.size.height // self.tile.height)
        is_whole = (len(self.offsets), len(self.counts)) == (tiles * _OFFSET.size, tiles * _COUNT.size)
        return is_whole and tiles <= MOST_TILES and len(self.splice.head) > len(_SOI)

    @property
    def taken_bytes(self) -> int:
        """Of memory, more or less."""
        return len(self.offsets) + len(self.counts) + len(self.splice.head) + len(self.splice.insertion) + 1024

    def place(self, column: int, row: int) -> tuple[int, int] | None:
        """Offset and count of the bytes of a tile; None for one that is left out, or shows what is beyond the edge."""
        tile, size = self.tile, self.size
        if (column + 1) * tile.width > size.width or (row + 1) * tile.height > size.height or min(column, row) < 0:
            return None
        index = row * self.columns + column
        (count,) = _COUNT.unpack_from(self.counts, index * _COUNT.size)
        (offset,) = _OFFSET.unpack_from(self.offsets, index * _OFFSET.size)
        return (offset, count) if 0 < count <= MOST_TILE_BYTES and offset < _MOST_OFFSET else None


@runtime_checkable
class MappedSource(Protocol):
    """An image source that knows where its tiles lie."""

    def tile_map(self, level: int) -> TileMap | None:
        """The map of a level; None if its tiles cannot be given away as they are, or there are too many.

        Raises IndexError for a level that is not there, Unreadable.
        """
