"""Icons: a small picture to show beside the name of a machine image.

What is sent is decoded and drawn anew by `imaging.icon` in a process of its own, within limits on bytes, pixels,
memory and time. The name under which an icon is found is random, and a new icon gets a new one.
"""

import secrets
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, insert, select

from pinakes.core import audit
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import machine_access
from pinakes.core.catalogue.images import Images
from pinakes.core.clock import Clock, Instant
from pinakes.core.content.content import Content
from pinakes.core.content.store import Reader
from pinakes.core.content.uploads import Upload
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import icons
from pinakes.core.errors import (
    ContentMissing,
    FormatUnsupported,
    ImageUnknown,
    InvalidFields,
    TooLarge,
    Unavailable,
)
from pinakes.imaging import icon

MOST_BYTES: Final = 1024 * 1024
"""The largest picture taken, in bytes."""

MEDIA_TYPE: Final = "image/png"

_ENDING: Final = ".png"
_SECONDS: Final = 10.0
_AT_ONCE: Final = 2  # children of one process: each may take 768 MiB
_MOST_CALLERS: Final = 6  # at work or waiting: the threads they wait in are everybody's


@dataclass(frozen=True, slots=True)
class Icon:
    """The icon of an image. name: what its path ends in.   digest: SHA-256, hex, of the PNG that is kept."""

    image_id: int
    name: str
    digest: str
    size_bytes: int
    created_at: Instant


_COLUMNS = tuple(icons.c[name] for name in Icon.__dataclass_fields__)
_BY_NAME = Query(select(*_COLUMNS).where(icons.c.name == bindparam("name")))
_BY_IMAGE = Query(select(*_COLUMNS).where(icons.c.image_id == bindparam("image_id")))
_INSERT = insert(icons)
_DELETE = delete(icons).where(icons.c.image_id == bindparam("old_image_id")).returning(icons.c.digest)


def find(connection: Executor, image_id: int) -> Icon | None:
    """The icon of an image, if it has one."""
    row = _BY_IMAGE.first(connection, {"image_id": image_id})
    return Icon(*row) if row else None


class Icons:
    """Operations on icons. Each raises Unauthenticated, KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, images: Images, content: Content, clock: Clock) -> None:
        self._database = database
        self._images = images
        self._content = content
        self._clock = clock
        self._callers = threading.BoundedSemaphore(_MOST_CALLERS)
        self._children = threading.BoundedSemaphore(_AT_ONCE)

    def put(self, actor: Actor, image_id: int, picture: bytes) -> Icon:
        """Give an image an icon, in the place of the one it may have had.

        picture: a PNG, JPEG or WebP of at most MOST_BYTES.
        Raises ImageUnknown, NotAllowed, ContentMissing, TooLarge, FormatUnsupported, InvalidFields for too many
        pixels, Unavailable.
        """
        self.check(actor, image_id)
        drawn = self._draw(picture)
        with self._content.receive(len(drawn)) as upload:
            upload.write(drawn)
            upload.finish()
            with self._database.write() as transaction:
                machine_access.held(transaction, actor, image_id, self._clock())
                self._forget(transaction, image_id)
                made = self._keep(transaction, image_id, upload)
                audit.record(transaction, actor, made.created_at, Event(Action.ICON_UPDATE, image_id))
        return made

    def remove(self, actor: Actor, image_id: int) -> None:
        """Take an image's icon away; nothing happens where there is none. Raises ImageUnknown, NotAllowed."""
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            machine_access.held(transaction, actor, image_id, self._clock())
            if self._forget(transaction, image_id):
                audit.record(transaction, actor, self._clock(), Event(Action.ICON_UPDATE, image_id))

    def check(self, actor: Actor, image_id: int) -> None:
        """Judge whether the actor may give the image an icon, before the picture is asked for.

        Raises ImageUnknown, NotAllowed.
        """
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.read() as connection:
            machine_access.changeable(connection, actor, image_id, self._clock())

    def get(self, actor: Actor, name: str) -> Icon:
        """The icon of that name, of an image the actor may read. Raises ImageUnknown."""
        with self._database.read() as connection:
            row = _BY_NAME.first(connection, {"name": name}) if name.isascii() and "\0" not in name else None
            if row is None:
                raise ImageUnknown
            found = Icon(*row)
            self._images.get(actor, found.image_id)
        return found

    def open(self, actor: Actor, name: str) -> tuple[Icon, Reader]:
        """The same, and its bytes. Raises ImageUnknown, BlobUnknown, StoreUnavailable."""
        found = self.get(actor, name)
        return found, self._content.open(found.digest)

    def _forget(self, transaction: Transaction, image_id: int) -> bool:
        """Drop the row, and the reference to the bytes; whether there was one."""
        digests = list(transaction.execute(_DELETE, {"old_image_id": image_id}).scalars())
        self._content.release(transaction, digests)
        return bool(digests)

    def _keep(self, transaction: Transaction, image_id: int, upload: Upload) -> Icon:
        digest = self._content.adopt(transaction, upload)
        made = Icon(image_id, secrets.token_hex(16) + _ENDING, digest, upload.size_bytes, self._clock())
        transaction.execute(_INSERT, {column.name: getattr(made, column.name) for column in _COLUMNS})
        return made

    def _draw(self, picture: bytes) -> bytes:
        """The icon made from a picture, in a child of this process."""
        if not picture:
            raise ContentMissing
        if len(picture) > MOST_BYTES:
            raise TooLarge(MOST_BYTES)
        if not self._callers.acquire(blocking=False):
            raise Unavailable("Too many pictures are being read at once; try again later.")
        try:
            with self._children:
                return _drawn(picture)
        finally:
            self._callers.release()


def _drawn(picture: bytes) -> bytes:
    """Raises FormatUnsupported, also if the child died of the picture; InvalidFields."""
    try:
        child = subprocess.run(  # noqa: S603 - our own program; the picture comes by stdin
            [sys.executable, "-I", icon.__file__],
            check=False,
            input=picture,
            capture_output=True,
            timeout=_SECONDS,
            env={},
        )
    except subprocess.TimeoutExpired as exc:
        raise FormatUnsupported("PNG, JPEG or WebP") from exc
    except OSError as exc:
        raise Unavailable from exc
    if child.returncode == icon.TOO_MANY_PIXELS:
        raise InvalidFields.one("icon", f"must have at most {icon.MOST_PIXELS} pixels")
    if child.returncode != 0 or not child.stdout:
        raise FormatUnsupported("PNG, JPEG or WebP")
    return child.stdout
