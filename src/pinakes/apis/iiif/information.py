"""The image information document, `info.json` (Image API 3.0, section 5)."""

from typing import Any, Final

from pinakes.apis.iiif.parameters import MAX_AREA, MAX_SIDE
from pinakes.apis.iiif.tiling import scale_factors, shrunk, tile_of
from pinakes.imaging.source import Description, Size

CONTEXT: Final = "http://iiif.io/api/image/3/context.json"
PROFILE: Final = "http://iiif.io/api/image/3/level2.json"
LEVEL: Final = "level2"
SERVICE_TYPE: Final = "ImageService3"

_EXTRA_FEATURES: Final = ("canonicalLinkHeader", "mirroring", "profileLinkHeader")
"""What level 2 does not ask for. Turning by any angle is not named: see README."""


def information(service: str, description: Description) -> dict[str, Any]:
    """The document. service: the address of the picture, which the document gives as its `id`."""
    size = description.levels[0].size
    tile = tile_of(description)
    factors = scale_factors(size, tile)
    sizes = [shrunk(size, factor) for factor in reversed(factors)]
    return {
        "@context": CONTEXT,
        "id": service,
        "type": SERVICE_TYPE,
        "protocol": "http://iiif.io/api/image",
        "profile": LEVEL,
        "width": size.width,
        "height": size.height,
        "maxWidth": MAX_SIDE,
        "maxHeight": MAX_SIDE,
        "maxArea": MAX_AREA,
        "sizes": [{"width": one.width, "height": one.height} for one in sizes if _is_given(one)],
        "tiles": [{"width": tile.width, "height": tile.height, "scaleFactors": factors}],
        "extraQualities": ["bitonal", "color", "gray"],
        "extraFormats": ["webp"],
        "extraFeatures": list(_EXTRA_FEATURES),
    }


def _is_given(size: Size) -> bool:
    return max(size.width, size.height) <= MAX_SIDE and size.width * size.height <= MAX_AREA
