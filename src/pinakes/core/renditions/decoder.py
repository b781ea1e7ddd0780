"""What makes pixels of a file: asked here, done in processes that may die (DESIGN.md rule 6)."""

from pathlib import Path
from typing import Protocol, overload

from pinakes.core.renditions.wanted import AssociatedWanted, RegionWanted, Wanted
from pinakes.imaging.decoding.ranges import Supply
from pinakes.imaging.decoding.requests import (
    Associated,
    Describe,
    Distant,
    Encoded,
    MapTiles,
    PictureRequest,
    Region,
)
from pinakes.imaging.source import Description
from pinakes.imaging.tilemap import TileMap


class Decoder(Protocol):
    """What renditions need of `imaging.decoding.pool.DecodingPool`. Safe to use from several threads at once.

    supply: of the bytes of a file that is not on this machine; what goes wrong there is raised.
    Raises Unreadable, LimitExceeded, NoSuchPart, NeedsWhole, DecodingFailed, DecodingBusy.
    """

    @overload
    def run(self, request: Describe, supply: Supply | None = None) -> Description: ...

    @overload
    def run(self, request: MapTiles, supply: Supply | None = None) -> TileMap | None: ...

    @overload
    def run(self, request: PictureRequest, supply: Supply | None = None) -> Encoded: ...

    def start(self) -> None:
        """Be ready before the first is asked for, in the background."""

    def close(self) -> None:
        """End what runs. May be called twice."""


def request_of(wanted: Wanted, file: Path | Distant, digest: str) -> PictureRequest:
    """What a decoder is asked for the sake of a rendition of the content of that digest, which is in that file."""
    path, distant = _told(file)
    match wanted:
        case RegionWanted():
            return Region(
                path=path,
                distant=distant,
                key=digest,
                rect=wanted.rect,
                size=wanted.size,
                rotation=wanted.rotation,
                mirrored=wanted.mirrored,
                quality=wanted.quality,
                frame=wanted.frame,
                format=wanted.format.value,
            )
        case AssociatedWanted():
            return Associated(path=path, distant=distant, key=digest, name=wanted.name, format=wanted.format.value)


def map_request_of(level: int, file: Path | Distant, digest: str) -> MapTiles:
    """What it is asked to find the tiles of a level in the same file."""
    path, distant = _told(file)
    return MapTiles(path=path, distant=distant, key=digest, level=level)


def _told(file: Path | Distant) -> tuple[str, Distant | None]:
    return ("", file) if isinstance(file, Distant) else (str(file), None)
