"""Renditions: pictures of what the archive holds, for those who may see it.

info ──> access, then what is known of the picture
region, tile, thumbnail, associated ──> cache ──> one decoding for all who ask at once ──> pixels
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from pinakes.core.access import policy
from pinakes.core.access.guard import require_scope
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.catalogue import descriptions, records
from pinakes.core.catalogue.descriptions import Described
from pinakes.core.catalogue.reading import Reading
from pinakes.core.catalogue.records import Image
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.db.engine import Database
from pinakes.core.errors import (
    AssociatedUnknown,
    BlobUnknown,
    ContentPending,
    DecodingUnavailable,
    ImageUnknown,
    InvalidFields,
    NotAnImage,
    PictureTooLarge,
    TileUnknown,
    TooLarge,
    VersionUnknown,
)
from pinakes.core.readtrail import ReadTrail
from pinakes.core.renditions.cache import PictureCache
from pinakes.core.renditions.decoder import Decoder, request_of
from pinakes.core.renditions.flight import SingleFlight
from pinakes.core.renditions.reading import ContentReader
from pinakes.core.renditions.views import Views
from pinakes.core.renditions.wanted import (
    AssociatedWanted,
    PictureFormat,
    RegionWanted,
    TileWanted,
    Wanted,
    key_of,
)
from pinakes.core.text import check_text
from pinakes.imaging.decoding.requests import DecodingBusy, DecodingFailed, Encoded, NoSuchPart
from pinakes.imaging.source import DEFAULT_LIMITS, Description, ImagingError, LimitExceeded, Rect, Size

__all__ = ["PictureFormat", "RegionWanted", "Rendition", "Renditions", "ViewedImage"]

LEAST_SIDE: Final = 64
MOST_SIDE: Final = 2048
"""Of a thumbnail, in pixels."""

_MOST_ID: Final = 2**63 - 1
_MOST_NAME: Final = 256
_MOST_TILE_SIDE: Final = 8192
_BATCH: Final = 500
_WITHOUT_IDENTITY: Final = frozenset({"thumbnail"})
"""Pictures beside a picture that do not tell who is shown. A label does, a macro shows the label."""

_ANYONE: Final = Actor("anyone")
_NO_PIXELS: Final = "The content has no pixels to show."


@dataclass(frozen=True, slots=True)
class ViewedImage:
    """A version with pixels, as one actor may see it. Only for the request it was asked for in.

    description: its `associated` are those the actor may see; `size` is given and `levels` are not empty.
    may_see_identity: whether the actor may see what in the file tells who is shown.
    is_public: whether anyone may see it.
    """

    image_id: int
    version_id: int
    version_name: str
    digest: str
    description: Description
    may_see_identity: bool
    is_public: bool
    kind: Kind

    @property
    def size(self) -> Size:
        return self.description.levels[0].size


@dataclass(frozen=True, slots=True)
class Rendition:
    """An encoded picture. etag: without quotes."""

    content: bytes
    media_type: str
    etag: str


class Renditions:
    """Operations on pictures. Each raises ScopeMissing beside what it names, StoreUnavailable and StorageFull.

    What takes a `ViewedImage` takes one that `info` has just given to the same actor, and notes that the actor looked.
    """

    def __init__(
        self,
        database: Database,
        content: Content,
        trail: ReadTrail,
        decoder: Decoder,
        reader: ContentReader,
        cache: PictureCache,
        clock: Clock,
    ) -> None:
        self._database = database
        self._content = content
        self._decoder = decoder
        self._reader = reader
        self._cache = cache
        self._clock = clock
        self._views = Views(database, trail, clock)
        self._flight: SingleFlight[bytes] = SingleFlight()

    def close(self) -> None:
        """End what decodes. May be called twice."""
        self._decoder.close()

    def sweep(self) -> None:
        """Drop what this machine has cached of content that is gone from the archive."""
        digests = self._cache.digests()
        while batch := list(islice(digests, _BATCH)):
            for digest in self._content.gone(batch):
                self._cache.forget(digest)
        self._content.sweep_copies()

    # -- What is known ---------------------------------------------------------------------------------------------

    def described(self, actor: Actor, image_id: int, version: str | None = None) -> tuple[Image, Described]:
        """An image the actor may see, and what has been read of its content, of whatever kind that is.

        version: its name, such as "1.0"; None for the newest with content. One past its own end is there for the
        author and staff alone. Raises ImageUnknown, VersionUnknown, ContentPending.
        """
        require_scope(actor, Resource.IMAGE, Permission.READ)
        if not 0 < image_id <= _MOST_ID:
            raise ImageUnknown
        if version is not None and not _may_be_name(version):
            raise VersionUnknown
        now = self._clock()
        with self._database.read() as connection:
            image = records.find(connection, actor, image_id, now)
            if image is None or not policy.may_read(actor, image.facts, now):
                raise ImageUnknown
            oversees = policy.may_oversee(actor, image.facts, now)
            found = descriptions.of_image(connection, image_id, version, now, oversees=oversees)
        if found is None:
            raise VersionUnknown if version is not None else ContentPending
        if found.description is not None:
            found = replace(found, description=self._shown(actor, image, found.description))
        return image, found

    def info(self, actor: Actor, image_id: int, version: str | None = None) -> ViewedImage:
        """What is known of a picture the actor may see; read from the file if nobody has yet.

        version: as for `described`.
        Raises ImageUnknown, VersionUnknown, ContentPending, NotAnImage, DecodingUnavailable.
        """
        image, found = self.described(actor, image_id, version)
        if found.state is Reading.FAILED:
            raise NotAnImage(found.error)
        description = found.description
        if description is None:
            description = self._shown(actor, image, self._reader.read(found.version))
        if not description.levels:
            raise NotAnImage(_NO_PIXELS)
        now = self._clock()
        return ViewedImage(
            image.id,
            found.version.id,
            found.version.name,
            found.version.digest,
            description,
            may_see_identity=policy.may_see_identity(actor, image.facts, now),
            is_public=policy.may_read(_ANYONE, image.facts, now),
            kind=image.kind,
        )

    def etag(self, viewed: ViewedImage, wanted: Wanted) -> str:
        """What the rendition's etag is, without making it."""
        return key_of(viewed.digest, wanted)

    # -- Pictures --------------------------------------------------------------------------------------------------

    def region(self, actor: Actor, viewed: ViewedImage, wanted: RegionWanted) -> Rendition:
        """A part of the picture. One that is exactly a stored tile is given as it is stored.

        Raises InvalidFields for a part or a frame that it has not, PictureTooLarge, NotAnImage, DecodingUnavailable.
        """
        check_size(wanted.size)
        try:
            return self._made(actor, viewed, wanted)
        except NoSuchPart:
            raise InvalidFields.one("region", "is outside of the picture") from None

    def tile(
        self,
        actor: Actor,
        viewed: ViewedImage,
        level: int,
        column: int,
        row: int,
        tile_size: int,
        format: PictureFormat = PictureFormat.JPEG,
    ) -> Rendition:
        """One tile of a level of `description.levels`; likewise. Raises TileUnknown for one that is outside."""
        levels = viewed.description.levels
        if not (0 <= level < len(levels) and 0 < tile_size <= _MOST_TILE_SIDE and min(column, row) >= 0):
            raise TileUnknown
        size = levels[level].size
        if column * tile_size >= size.width or row * tile_size >= size.height:
            raise TileUnknown
        try:
            return self._made(actor, viewed, TileWanted(level, column, row, tile_size, format))
        except NoSuchPart:
            raise TileUnknown from None

    def thumbnail(
        self,
        actor: Actor,
        image_id: int,
        side: int,
        format: PictureFormat = PictureFormat.JPEG,
        *,
        version: str | None = None,
    ) -> Rendition:
        """The whole picture with a long side of `side` pixels, 64 to 2048, or its own if that is less.

        Raises InvalidFields (`side`), and what `info` and `region` raise.
        """
        if not LEAST_SIDE <= side <= MOST_SIDE:
            raise InvalidFields.one("side", f"must be between {LEAST_SIDE} and {MOST_SIDE}")
        viewed = self.info(actor, image_id, version)
        return self.region(actor, viewed, self.thumbnail_wanted(viewed, side, format))

    def thumbnail_wanted(self, viewed: ViewedImage, side: int, format: PictureFormat) -> RegionWanted:
        """The region that a thumbnail is, for its etag."""
        whole = viewed.size
        return RegionWanted(Rect(0, 0, whole.width, whole.height), fitted(whole, side), format=format)

    def associated(
        self, actor: Actor, viewed: ViewedImage, name: str, format: PictureFormat = PictureFormat.JPEG
    ) -> Rendition:
        """A picture beside the picture, as a slide's label. Raises AssociatedUnknown, also for one that is hidden."""
        if name not in viewed.description.associated:
            raise AssociatedUnknown
        try:
            return self._made(actor, viewed, AssociatedWanted(name, format))
        except NoSuchPart:
            raise AssociatedUnknown from None

    def _shown(self, actor: Actor, image: Image, description: Description) -> Description:
        """Without the names of pictures that the actor may not see, and of fields that tell who is shown."""
        if policy.may_see_identity(actor, image.facts, self._clock()):
            return description
        beside = tuple(name for name in description.associated if name in _WITHOUT_IDENTITY)
        return replace(description, associated=beside, identity=())

    def _made(self, actor: Actor, viewed: ViewedImage, wanted: Wanted) -> Rendition:
        """Raises NoSuchPart, and what the operations name."""
        key = key_of(viewed.digest, wanted)
        content = self._cache.get(viewed.digest, key)
        if content is None:
            content = self._flight.do(
                key, lambda: self._cache.get(viewed.digest, key) or self._decoded(viewed, wanted, key)
            )
        self._views.note(actor, viewed.image_id, viewed.kind)
        return Rendition(content, wanted.format.media_type, key)

    def _decoded(self, viewed: ViewedImage, wanted: Wanted, key: str) -> bytes:
        encoded = self._from_file(viewed, lambda path: self._decoder.run(request_of(wanted, path, viewed.digest)))
        if not encoded.spliced:  # what lies in the file as it is need not lie in the cache too
            self._cache.put(viewed.digest, key, encoded.content)
        return encoded.content

    def _from_file(self, viewed: ViewedImage, decode: Callable[[Path], Encoded]) -> Encoded:
        try:
            with self._content.local_copy(viewed.digest) as path:
                return decode(path)
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


def fitted(size: Size, side: int) -> Size:
    """The same shape with a long side of `side`, or as it is if that is shorter."""
    scale = min(1.0, side / max(size.width, size.height))
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def _may_be_name(version: str) -> bool:
    """Whether a version could have that name, which both databases can be asked for."""
    try:
        return bool(check_text("version", version, most=_MOST_NAME))
    except InvalidFields:
        return False


def check_size(size: Size) -> None:
    """Raises PictureTooLarge if a picture has more pixels than are made at once."""
    if size.width * size.height > DEFAULT_LIMITS.output_pixels:
        raise PictureTooLarge
