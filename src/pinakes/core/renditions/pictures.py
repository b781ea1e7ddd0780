"""Encoded pictures of contents, from where they cost least; who may see them is asked elsewhere.

at_hand    stored tile in memory, or a picture made lately           takes no waiting
get        the same ──> once for all who ask at once: disk cache ──> stored tile, or decoded
"""

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from pinakes.core.catalogue import descriptions
from pinakes.core.content.content import Content
from pinakes.core.db.engine import Database
from pinakes.core.errors import (
    BlobUnknown,
    DecodingUnavailable,
    ImageUnknown,
    NotAnImage,
    PictureTooLarge,
    TooLarge,
)
from pinakes.core.renditions.cache import PictureCache
from pinakes.core.renditions.decoder import Decoder, map_request_of, request_of
from pinakes.core.renditions.flight import SingleFlight
from pinakes.core.renditions.recent import Recent
from pinakes.core.renditions.stored import StoredTiles, place_of
from pinakes.core.renditions.viewed import ViewedImage
from pinakes.core.renditions.wanted import Wanted, key_of
from pinakes.imaging.bytesources import NeedsWhole
from pinakes.imaging.decoding.ranges import Supply, distant_of
from pinakes.imaging.decoding.requests import DecodingBusy, DecodingFailed, Distant, NoSuchPart
from pinakes.imaging.source import ImagingError, LimitExceeded
from pinakes.imaging.tilemap import TileMap

_BATCH: Final = 500
_RECENT_BYTES: Final = 32 * 1024 * 1024

T = TypeVar("T")


class Pictures:
    """Takes what `Renditions` has found out. For many threads; `at_hand` also for the event loop."""

    def __init__(self, database: Database, content: Content, decoder: Decoder, cache: PictureCache) -> None:
        self._database = database
        self._content = content
        self._decoder = decoder
        self._cache = cache
        self._stored = StoredTiles(content)
        self._recent: Recent[str, bytes] = Recent(_RECENT_BYTES, len)
        self._flight: SingleFlight[bytes] = SingleFlight()

    def at_hand(self, viewed: ViewedImage, wanted: Wanted) -> bytes | None:
        """A picture that takes no waiting, None for any other."""
        place = place_of(viewed.description, wanted)
        tile = self._stored.at_hand(viewed.digest, place) if place else None
        return tile or self._recent.get(key_of(viewed.digest, wanted))

    def get(self, viewed: ViewedImage, wanted: Wanted) -> bytes:
        """A picture, made if need be.

        Raises NoSuchPart, ImageUnknown if it was deleted meanwhile, PictureTooLarge, NotAnImage, DecodingUnavailable,
        StoreUnavailable, StorageFull.
        """
        key = key_of(viewed.digest, wanted)
        content = self._recent.get(key)
        if content is None:
            # Within the flight, so that who comes just after it finds what it made.
            content = self._flight.do(
                key, lambda: self._cache.get(viewed.digest, key) or self._made(viewed, wanted, key)
            )
            self._recent.put(key, content)
        return content

    def sweep(self) -> None:
        """Drop what is kept of content that is gone from the archive."""
        self._stored.close()
        digests = self._cache.digests()
        while batch := list(islice(digests, _BATCH)):
            for digest in self._content.gone(batch):
                self._cache.forget(digest)
        self._content.sweep_copies()

    def start(self) -> None:
        """Have what decodes ready. Returns at once."""
        self._decoder.start()

    def close(self) -> None:
        """End what decodes. May be called twice."""
        self._decoder.close()
        self._stored.close()

    def _made(self, viewed: ViewedImage, wanted: Wanted, key: str) -> bytes:
        place = place_of(viewed.description, wanted)
        if place is not None:
            tile = self._stored.read(viewed.digest, place, lambda: self._map(viewed, place.level))
            if tile is not None:
                return tile
        encoded = self._from_file(
            viewed, lambda file, supply: self._decoder.run(request_of(wanted, file, viewed.digest), supply)
        )
        if not encoded.spliced:  # what lies in the file as it is need not lie in the cache too
            self._cache.put(viewed.digest, key, encoded.content)
        return encoded.content

    def _map(self, viewed: ViewedImage, level: int) -> TileMap | None:
        return self._from_file(
            viewed, lambda file, supply: self._decoder.run(map_request_of(level, file, viewed.digest), supply)
        )

    def _from_file(self, viewed: ViewedImage, decode: Callable[[Path | Distant, Supply | None], T]) -> T:
        try:
            with self._content.located(viewed.digest) as found:
                if isinstance(found, Path):
                    return decode(found, None)
                distant = distant_of(viewed.description, found.size_bytes)
                if distant is not None:
                    with suppress(NeedsWhole):
                        return decode(distant, Supply(found.read, found.size_bytes))
            with self._content.local_copy(viewed.digest) as path:
                return decode(path, None)
        except NoSuchPart:
            raise
        except LimitExceeded as exc:
            raise PictureTooLarge(str(exc)) from exc
        except (DecodingFailed, DecodingBusy) as exc:
            if not self._is_there(viewed):
                raise ImageUnknown from None  # deleted meanwhile
            raise DecodingUnavailable(str(exc)) from exc
        except ImagingError as exc:
            raise NotAnImage(str(exc)) from exc
        except TooLarge as exc:
            raise NotAnImage(exc.message) from exc
        except BlobUnknown:
            if self._is_there(viewed):
                raise
            raise ImageUnknown from None  # deleted since it was found

    def _is_there(self, viewed: ViewedImage) -> bool:
        with self._database.read() as connection:
            return descriptions.exists(connection, viewed.version_id)
