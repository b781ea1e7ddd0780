"""Bodies about annotations of slides."""

from typing import Literal

from pinakes.apis.native.models.values import Listed, Person, Shown, ShownTime


class AnnotationLayer(Shown):
    """One class of what is drawn. regions: how many, without holes.

    area_px: in level-0 pixels, less the holes; null if it cannot be counted.   area_mm2: null without a scale, too.
    """

    name: str
    regions: int
    area_px: float | None
    area_mm2: float | None


class Annotation(Shown):
    """One version of what is drawn on a slide; it never changes. number: 1, 2, ... within the image.

    author: null for a machine.   run: the id of the prediction that made it, which tells where it comes from.
    media_type, size_bytes, sha256: of the document as it was sent.
    """

    number: int
    source: Literal["machine", "person"]
    author: Person | None
    run: int | None
    created_at: ShownTime
    media_type: str
    size_bytes: int
    sha256: str
    layers: list[AnnotationLayer]


class AnnotationPage(Listed):
    """Newest first."""

    items: list[Annotation]
    next_cursor: str | None
