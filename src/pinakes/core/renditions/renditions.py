"""Renditions: pictures of what the archive holds, for those who may see it.

info ──> access, then what is known of the picture
region, associated ──> cache ──> one decoding for all who ask at once ──> pixels
"""

from dataclasses import dataclass, replace
from typing import Final

from pinakes.core.access import policy
from pinakes.core.access.guard import require_scope
from pinakes.core.access.policy import ImageFacts
from pinakes.core.actor import Actor, Permission, Resource
from pinakes.core.catalogue import descriptions
from pinakes.core.catalogue.descriptions import Described
from pinakes.core.catalogue.reading import Reading
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.db.engine import Database
from pinakes.core.errors import (
    AssociatedUnknown,
    ContentPending,
    ImageUnknown,
    InvalidFields,
    NotAnImage,
    PictureTooLarge,
    VersionUnknown,
)
from pinakes.core.readtrail import ReadTrail
from pinakes.core.renditions.cache import PictureCache
from pinakes.core.renditions.decoder import Decoder
from pinakes.core.renditions.pictures import Pictures
from pinakes.core.renditions.reading import ContentReader
from pinakes.core.renditions.viewed import ViewedImage
from pinakes.core.renditions.views import Views
from pinakes.core.renditions.wanted import (
    AssociatedWanted,
    PictureFormat,
    RegionWanted,
    Wanted,
    key_of,
)
from pinakes.core.text import check_text
from pinakes.imaging.decoding.requests import NoSuchPart
from pinakes.imaging.source import DEFAULT_LIMITS, Description, Rect, Size

__all__ = ["PictureFormat", "RegionWanted", "Rendition", "Renditions", "ViewedImage"]

LEAST_SIDE: Final = 64
MOST_SIDE: Final = 2048
"""Of a thumbnail, in pixels."""

_MOST_ID: Final = 2**63 - 1
_MOST_NAME: Final = 256
_BATCH: Final = 500
_WITHOUT_IDENTITY: Final = frozenset({"thumbnail"})
"""Pictures beside a picture that do not tell who is shown. A label does, a macro shows the label."""

_ANYONE: Final = Actor("anyone")
_NO_PIXELS: Final = "The content has no pixels to show."


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
        self._reader = reader
        self._clock = clock
        self._pictures = Pictures(database, content, decoder, cache)
        self._views = Views(database, trail, clock)

    def start(self) -> None:
        """Have what decodes ready before the first picture is asked for. Returns at once."""
        self._pictures.start()

    def close(self) -> None:
        """End what decodes. May be called twice."""
        self._pictures.close()

    def sweep(self) -> None:
        """Drop what this machine has cached of content that is gone from the archive."""
        self._pictures.sweep()

    # -- What is known ---------------------------------------------------------------------------------------------

    def described(self, actor: Actor, image_id: int, version: str | None = None) -> tuple[ImageFacts, Described]:
        """The facts of an image the actor may see, and what has been read of its content, of whatever kind that is.

        version: its name, such as "1.0"; None for the newest with content. One past its own end is there for the
        author and staff alone. Raises ImageUnknown, VersionUnknown, ContentPending.
        """
        facts, found = self._found(actor, image_id, version)
        if found.description is not None and not policy.may_see_identity(actor, facts, self._clock()):
            found = replace(found, description=_without_identity(found.description))
        return facts, found

    def info(self, actor: Actor, image_id: int, version: str | None = None, *, in_small: bool = False) -> ViewedImage:
        """What is known of a picture the actor may see; read from the file if nobody has yet.

        version: as for `described`.   in_small: also of one that has too many pixels to be shown in parts.
        Raises ImageUnknown, VersionUnknown, ContentPending, NotAnImage, DecodingUnavailable.
        """
        facts, found = self._found(actor, image_id, version)
        if found.state is Reading.FAILED:
            raise NotAnImage(found.error)
        read = found.description or self._reader.look(found.version)
        return self._viewed(actor, image_id, facts, found, read, in_small=in_small)

    def glance(self, actor: Actor, image_id: int, version: str | None = None) -> ViewedImage | None:
        """The same without waiting; None if nobody has read the file yet."""
        facts, found = self._found(actor, image_id, version)
        if found.description is None:
            return None
        return self._viewed(actor, image_id, facts, found, found.description)

    def etag(self, viewed: ViewedImage, wanted: Wanted) -> str:
        """What the rendition's etag is, without making it."""
        return key_of(viewed.digest, wanted)

    # -- Pictures --------------------------------------------------------------------------------------------------

    def at_hand(self, actor: Actor, viewed: ViewedImage, wanted: RegionWanted) -> bytes | None:
        """What `region` gives, if it takes no waiting; else None, also where it raises."""
        content = self._pictures.at_hand(viewed, wanted)
        if content is not None:
            self._views.note(actor, viewed.image_id, viewed.kind)
        return content

    def region(self, actor: Actor, viewed: ViewedImage, wanted: RegionWanted) -> Rendition:
        """A part of the picture. One that is exactly a stored tile is given as it is stored.

        Raises InvalidFields for a part or a frame that it has not, PictureTooLarge, NotAnImage, DecodingUnavailable.
        """
        check_size(wanted.size)
        try:
            return self._made(actor, viewed, wanted)
        except NoSuchPart:
            raise InvalidFields.one("region", "is outside of the picture") from None

    def thumbnail_wanted(self, viewed: ViewedImage, side: int, format: PictureFormat) -> RegionWanted:
        """The whole picture with that long side, or its own if that is less. Also for one that is only shown small."""
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

    def _found(self, actor: Actor, image_id: int, version: str | None) -> tuple[ImageFacts, Described]:
        """The facts of an image and one version of it, if the actor may see them; raises as `described` says."""
        require_scope(actor, Resource.IMAGE, Permission.READ)
        if not 0 < image_id <= _MOST_ID:
            raise ImageUnknown
        if version is not None and not _may_be_name(version):
            raise VersionUnknown
        now = self._clock()
        with self._database.read() as connection:
            facts, found = descriptions.find(connection, actor, image_id, now) or (None, None)
            if facts is None or not policy.may_read(actor, facts, now):
                raise ImageUnknown
            if version is not None or found is None:
                oversees = policy.may_oversee(actor, facts, now)
                found = descriptions.of_image(connection, image_id, version, now, oversees=oversees)
        if found is None:
            raise VersionUnknown if version is not None else ContentPending
        return facts, found

    def _viewed(
        self,
        actor: Actor,
        image_id: int,
        facts: ImageFacts,
        found: Described,
        read: Description,
        *,
        in_small: bool = False,
    ) -> ViewedImage:
        """Raises NotAnImage."""
        if not read.levels and not (in_small and read.size):
            raise NotAnImage(" ".join(read.warnings) if read.size else _NO_PIXELS)
        now = self._clock()
        may_see_identity = policy.may_see_identity(actor, facts, now)
        return ViewedImage(
            image_id,
            found.version.id,
            found.version.name,
            found.version.digest,
            read if may_see_identity else _without_identity(read),
            may_see_identity=may_see_identity,
            is_public=policy.may_read(_ANYONE, facts, now) and not found.has_ended,
            kind=facts.kind,
        )

    def _made(self, actor: Actor, viewed: ViewedImage, wanted: Wanted) -> Rendition:
        """Raises NoSuchPart, and what the operations name."""
        content = self._pictures.get(viewed, wanted)
        self._views.note(actor, viewed.image_id, viewed.kind)
        return Rendition(content, wanted.format.media_type, key_of(viewed.digest, wanted))


def _without_identity(description: Description) -> Description:
    """Without the names of pictures that tell who is shown, and of the fields that do."""
    beside = tuple(name for name in description.associated if name in _WITHOUT_IDENTITY)
    if not description.identity and beside == description.associated:
        return description
    return replace(description, associated=beside, identity=())


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
