"""What makes pixels of a file: asked here, done in processes that may die (DESIGN.md rule 6)."""

from pathlib import Path
from typing import Protocol, overload

from pinakes.core.renditions.wanted import AssociatedWanted, RegionWanted, TileWanted, Wanted
from pinakes.imaging.decoding.requests import Associated, Describe, Encoded, PictureRequest, Region, Tile
from pinakes.imaging.source import Description, Size


class Decoder(Protocol):
    """What renditions need of `imaging.decoding.pool.DecodingPool`. Safe to use from several threads at once.

    Raises Unreadable, LimitExceeded, NoSuchPart, DecodingFailed, DecodingBusy.
    """

    @overload
    def run(self, request: Describe) -> Description: ...

    @overload
    def run(self, request: PictureRequest) -> Encoded: ...

    def close(self) -> None:
        """End what runs. May be called twice."""


def request_of(wanted: Wanted, path: Path, digest: str) -> PictureRequest:
    """What a decoder is asked for the sake of a rendition of the content of that digest, which is in a local file."""
    match wanted:
        case RegionWanted():
            return Region(
                path=str(path),
                key=digest,
                rect=wanted.rect,
                size=wanted.size,
                rotation=wanted.rotation,
                mirrored=wanted.mirrored,
                quality=wanted.quality,
                frame=wanted.frame,
                format=wanted.format.value,
            )
        case TileWanted():
            side = Size(wanted.tile_size, wanted.tile_size)
            return Tile(
                path=str(path),
                key=digest,
                level=wanted.level,
                column=wanted.column,
                row=wanted.row,
                tile=side,
                format=wanted.format.value,
            )
        case AssociatedWanted():
            return Associated(path=str(path), key=digest, name=wanted.name, format=wanted.format.value)
