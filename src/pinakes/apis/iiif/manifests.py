"""Manifests: pictures as the pages of a book that viewers leaf through (Presentation API 3.0).

Each frame of each picture is a canvas of its own, as large as the picture, with the picture painted all over it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pinakes.apis.iiif.identifiers import Identifier
from pinakes.apis.iiif.information import LEVEL, SERVICE_TYPE
from pinakes.apis.iiif.parameters import largest
from pinakes.core.clock import Instant, to_datetime
from pinakes.imaging.geometry import fit
from pinakes.imaging.source import Size

CONTEXT: Final = "http://iiif.io/api/presentation/3/context.json"

_THUMBNAIL_SIDE: Final = 256
_MOST_FRAMES: Final = 500
"""Canvases for one picture; further frames can be seen through the Image API."""


@dataclass(frozen=True, slots=True)
class Page:
    """One picture of a manifest. taken_at: None if nobody knows."""

    identifier: Identifier
    label: str
    size: Size
    frames: int
    taken_at: Instant | None


@dataclass(frozen=True, slots=True)
class Manifests:
    """Makes documents.

    base: address below which manifests and their parts have theirs.   services: below which the Image API has pictures.
    """

    base: str
    services: str

    def manifest(self, path: str, label: str, pages: Sequence[Page], *, part_of: str | None = None) -> dict[str, Any]:
        """path: of the manifest below the base. Its pages stand in their order; at least one.

        part_of: the path of another manifest, which has these pages too.
        """
        address = f"{self.base}/{path}"
        canvases = [canvas for page in pages for canvas in self._canvases(address, page)]
        manifest: dict[str, Any] = {
            "@context": CONTEXT,
            "id": address,
            "type": "Manifest",
            "label": _text(label),
            "thumbnail": canvases[0]["thumbnail"],
            "behavior": ["individuals"],
            "items": canvases,
        }
        if part_of is not None:
            manifest["partOf"] = [{"id": f"{self.base}/{part_of}", "type": "Manifest"}]
        return manifest

    def _canvases(self, manifest: str, page: Page) -> Iterator[dict[str, Any]]:
        for frame in range(min(page.frames, _MOST_FRAMES)):
            shown = Identifier(page.identifier.image_id, page.identifier.version, frame)
            label = page.label if page.frames == 1 else f"{page.label}, {frame + 1} of {page.frames}"
            yield self._canvas(f"{manifest}/canvas/{shown}", label, page, shown)

    def _canvas(self, address: str, label: str, page: Page, shown: Identifier) -> dict[str, Any]:
        service = f"{self.services}/3/{shown}"
        canvas: dict[str, Any] = {
            "id": address,
            "type": "Canvas",
            "label": _text(label),
            "width": page.size.width,
            "height": page.size.height,
            "thumbnail": [_image(service, fit(page.size, _THUMBNAIL_SIDE), page.size)],
            "items": [
                {
                    "id": f"{address}/page",
                    "type": "AnnotationPage",
                    "items": [
                        {
                            "id": f"{address}/image",
                            "type": "Annotation",
                            "motivation": "painting",
                            "body": _image(service, largest(page.size), page.size),
                            "target": address,
                        }
                    ],
                }
            ],
        }
        if page.taken_at is not None:
            canvas["navDate"] = to_datetime(page.taken_at).strftime("%Y-%m-%dT%H:%M:%SZ")
        return canvas


def _image(service: str, size: Size, full: Size) -> dict[str, Any]:
    """A picture at a size, and the service that has it at any other."""
    asked = "max" if size == largest(full) else f"{size.width},{size.height}"
    return {
        "id": f"{service}/full/{asked}/0/default.jpg",
        "type": "Image",
        "format": "image/jpeg",
        "width": size.width,
        "height": size.height,
        "service": [{"id": service, "type": SERVICE_TYPE, "profile": LEVEL}],
    }


def _text(text: str) -> dict[str, list[str]]:
    return {"none": [text]}
