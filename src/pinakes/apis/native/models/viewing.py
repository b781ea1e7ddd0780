"""Bodies about looking at images: what is known of a picture, and where it can be seen."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pinakes.apis.native.models.values import Given, Shown, ShownTime
from pinakes.core.access.view_links import LEAST_SECONDS, MOST_SECONDS

StateName = Literal["waiting", "ready", "failed"]


class PictureInShort(Shown):
    """What is known of a content. width and height are in pixels, null for what has none, such as a disk.

    captured: when it was taken, as ISO 8601, with an offset if the picture tells one.
    """

    state: StateName
    error: str | None
    format: str | None
    width: int | None
    height: int | None
    frames: int | None
    captured: str | None


class AssociatedPicture(Shown):
    """A picture beside a picture, such as a slide's label. url: where it can be seen."""

    name: str
    url: str


class Viewer(Shown):
    """Where a picture can be seen, as absolute URLs. Those of the IIIF API are null where none is to be found.

    iiif: the picture's own, for the IIIF Image API.   info: its info.json.   deep_zoom: its DZI.
    manifest: for the IIIF Presentation API.   associated: pictures beside it, as far as one may see them; of a content
    that has been read.
    """

    thumbnail: str
    associated: list[AssociatedPicture]
    iiif: str | None
    info: str | None
    deep_zoom: str | None
    manifest: str | None


class Scale(Shown):
    """In micrometres per pixel."""

    x: float
    y: float


class LevelSize(Shown):
    """One resolution that is stored. tile_width and tile_height are null for one that is not tiled."""

    width: int
    height: int
    downsample: float
    tile_width: int | None
    tile_height: int | None


class Description(PictureInShort):
    """Everything that was read from a content. levels: largest first.   mpp: its scale, if it tells one.

    associated: pictures beside it, as far as one may see them.
    facts: more, by kind of file; a disk's format, size and partitions.
    identity: which of its fields tell who is shown, without what is in them; for those who may see identity.
    pixel_digest: the same for the same picture in another container; null for slides, and what else has none.
    """

    image_id: int
    version: str
    read_at: ShownTime | None
    mpp: Scale | None
    levels: list[LevelSize]
    associated: list[AssociatedPicture]
    facts: dict[str, Any]
    warnings: list[str]
    identity: list[str]
    pixel_digest: str | None


class NewViewLink(Given):
    """How long the link is to work, in seconds."""

    seconds: Annotated[int, Field(ge=LEAST_SECONDS, le=MOST_SECONDS)] = 3600


class ViewLink(Shown):
    """A link to look at one image without a header; it is told only now. token: for `?token=` in the IIIF API.

    The addresses hold it already, and need no header; null where no IIIF API is to be found.
    """

    token: str
    end_date: ShownTime
    iiif: str | None
    info: str | None
    deep_zoom: str | None
    manifest: str | None
