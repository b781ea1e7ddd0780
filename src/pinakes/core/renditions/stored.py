"""Tiles given away as they are stored: read from the content's own bytes by a map of where they lie, decoding nothing.

    what is wanted ── is it a stored tile? ──> map of its level ──> bytes of the file ──> begins as judged? ──> JPEG
                                    (made by a decoding process, once)     (a range of it, from a bucket)

Whatever does not fit is None: then the decoder is asked. Who may see the content is not asked here.
"""

import time
from collections.abc import Callable
from typing import Final

from pinakes.core.content.content import Content, DistantContent
from pinakes.core.content.stores.disk import FileReader
from pinakes.core.errors import BlobUnknown
from pinakes.core.renditions.files import OpenFile, OpenFiles
from pinakes.core.renditions.flight import SingleFlight
from pinakes.core.renditions.recent import Recent
from pinakes.core.renditions.wanted import RegionWanted, Wanted
from pinakes.imaging.decoding.tiles import Place, may_be_stored, stored_place
from pinakes.imaging.source import Description, Size
from pinakes.imaging.tilemap import Splice, TileMap

_MOST_MAP_BYTES: Final = 64 * 1024 * 1024
_MOST_AT_HAND_BYTES: Final = 1024 * 1024
"""Of a tile: to copy more takes too long where nobody may wait."""

_NO_TILES: Final = TileMap(Size(1, 1), Size(2, 2), b"", b"", Splice(b"", b""))
"""For a level whose tiles cannot be given away. It has no place that is not cut off."""


def place_of(description: Description, wanted: Wanted) -> Place | None:
    """Which tile of which stored level is just what is wanted, if one is."""
    if isinstance(wanted, RegionWanted) and may_be_stored(wanted):
        return stored_place(description, wanted.rect, wanted.size)
    return None


class StoredTiles:
    """Of all contents. Maps and open files are bounded."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._maps: Recent[tuple[str, int], TileMap] = Recent(_MOST_MAP_BYTES, lambda tiles: tiles.taken_bytes)
        self._files = OpenFiles()
        self._flight: SingleFlight[TileMap] = SingleFlight()

    def at_hand(self, digest: str, place: Place) -> bytes | None:
        """The JPEG of a tile, if that takes no waiting: its map is known, and its bytes are in memory."""
        tiles = self._maps.get((digest, place.level))
        found = tiles.place(place.column, place.row) if tiles is not None else None
        if tiles is None or found is None or found[1] > _MOST_AT_HAND_BYTES:
            return None
        file = self._files.take(digest)
        if file is None:
            return None
        try:
            stored = file.reader.read_now(*found)
        finally:
            self._files.give_back(file)
        return tiles.splice.whole(stored) if stored is not None and len(stored) == found[1] else None

    def read(self, digest: str, place: Place, find_map: Callable[[], TileMap | None]) -> bytes | None:
        """The same with waiting. find_map: of the place's level, asked for once.

        Raises what that raises, and StoreUnavailable.
        """
        tiles = self._map(digest, place.level, find_map)
        found = tiles.place(place.column, place.row)
        if found is None:
            return None
        stored = self._bytes(digest, *found)
        return tiles.splice.whole(stored) if len(stored) == found[1] else None

    def close(self) -> None:
        """Close files; those of contents that are deleted take room until then."""
        self._files.close()

    def _map(self, digest: str, level: int, find_map: Callable[[], TileMap | None]) -> TileMap:
        tiles = self._maps.get((digest, level))
        if tiles is None:
            tiles = self._flight.do(f"{digest} {level}", lambda: find_map() or _NO_TILES)
            self._maps.put((digest, level), tiles)
        return tiles

    def _bytes(self, digest: str, offset: int, count: int) -> bytes:
        """Fewer if the content ends before, or is gone."""
        file = self._files.take(digest)
        try:
            if file is None:
                with self._content.located(digest) as where:
                    if isinstance(where, DistantContent):
                        return where.read(offset, count) if offset + count <= where.size_bytes else b""
                    file = OpenFile(digest, FileReader(where), time.monotonic())
            return file.reader.read_at(offset, count)
        except (BlobUnknown, OSError):  # the decoder is asked, and finds out more
            return b""
        finally:
            if file is not None:
                self._files.give_back(file)
