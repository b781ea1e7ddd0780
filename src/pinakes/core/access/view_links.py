"""View links: short-lived texts to look at one image, for viewers that cannot send a header.

    base64url( version | image id | token id | end | HMAC-SHA-256 of these )

Nothing is kept of a link. It stands for the token it was made with, and is never worth more: it reads one image, as
long as the token works and its user may see the image, and at most until its own end. Revoking the token revokes it.
Links are passed on, so they never show what tells who is in a picture, whatever their maker may see.
"""

import base64
import binascii
import hmac
import re
import secrets
import struct
from dataclasses import replace
from typing import Final

from sqlalchemy import bindparam, select

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.credentials import Credentials
from pinakes.core.access.guard import require_account, require_scope
from pinakes.core.actor import Actor, Permission, Resource, Scope
from pinakes.core.audit import Action, Event
from pinakes.core.clock import SECOND, Clock
from pinakes.core.db import made_secrets
from pinakes.core.db.engine import Database
from pinakes.core.db.query import Query
from pinakes.core.db.schema import images
from pinakes.core.errors import ImageUnknown, InvalidFields, Unauthenticated

API_NAME: Final = "view-link"
"""The entrance of who comes with a link, as the audit trail names it."""

LEAST_SECONDS: Final = 1
MOST_SECONDS: Final = 24 * 60 * 60
"""How long a link can work."""

_SECRET: Final = "view_link_key"  # noqa: S105 - its name
_FORM: Final = 1
_CLAIMS = struct.Struct(">BQQQ")  # _FORM, image id, token id, end in microseconds
_MAC_BYTES: Final = 32
_ALPHABET = re.compile(r"[A-Za-z0-9_-]{76}", re.ASCII)  # 57 bytes, which need no padding
_SCOPE: Final = Scope(((Resource.IMAGE, frozenset({Permission.READ})),))

_READABLE = Query(select(images.c.id).where(images.c.id == bindparam("image_id"), policy.READABLE))


class ViewLinks:
    """Makes links, and tells who asks with one."""

    def __init__(self, database: Database, credentials: Credentials, clock: Clock) -> None:
        self._database = database
        self._credentials = credentials
        self._clock = clock
        self._known_key: bytes | None = None

    def create(self, actor: Actor, image_id: int, seconds: int) -> str:
        """A link to look at an image the actor may read, for so many seconds.

        Raises Unauthenticated, also for who came without a token, ScopeMissing, InvalidFields, ImageUnknown.
        """
        require_account(actor, Resource.IMAGE, Permission.READ)
        if actor.token_id is None:
            raise Unauthenticated
        if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            raise InvalidFields.one("seconds", f"must be between {LEAST_SECONDS} and {MOST_SECONDS}")
        key = self._key
        now = self._clock()
        with self._database.write() as transaction:
            if _READABLE.first(transaction, policy.parameters(actor, now) | {"image_id": image_id}) is None:
                raise ImageUnknown
            event = Event(Action.VIEW_LINK_CREATE, image_id, detail={"seconds": seconds})
            audit.record(transaction, actor, now, event)
        claims = _CLAIMS.pack(_FORM, image_id, actor.token_id, now + seconds * SECOND)
        return base64.urlsafe_b64encode(claims + _mac(key, claims)).decode("ascii")

    def actor(self, token: str, image_id: int) -> Actor:
        """Who asks for the image with a link: its maker, who may only read it, and not whom it shows.

        Whether they may still see it is not asked. The trail tells them from the maker by the entrance, `API_NAME`.
        Raises Unauthenticated for a text that is no link, one to another image, one that has ended, and where the
        token it was made with no longer works; ScopeMissing if that may not read images.
        """
        token_id = self._checked(token, image_id)
        actor = self._credentials.actor_of(API_NAME, token_id)
        require_scope(actor, Resource.IMAGE, Permission.READ)
        return replace(actor, scope=_SCOPE, may_identify=False)

    def _checked(self, token: str, image_id: int) -> int:
        """The id of the token a link was made with. Raises Unauthenticated."""
        if not _ALPHABET.fullmatch(token):
            raise Unauthenticated
        try:
            link = base64.b64decode(token, altchars=b"-_", validate=True)
        except binascii.Error as exc:
            raise Unauthenticated from exc
        claims, given = link[:-_MAC_BYTES], link[-_MAC_BYTES:]
        if not hmac.compare_digest(given, _mac(self._key, claims)):
            raise Unauthenticated
        form, of_image_id, token_id, end_at = _CLAIMS.unpack(claims)
        if form != _FORM or of_image_id != image_id or end_at <= self._clock():
            raise Unauthenticated
        return int(token_id)

    @property
    def _key(self) -> bytes:
        if self._known_key is None:
            text = made_secrets.kept(self._database, _SECRET, lambda: secrets.token_hex(32), self._clock)
            self._known_key = bytes.fromhex(text)
        return self._known_key


def _mac(key: bytes, claims: bytes) -> bytes:
    return hmac.digest(key, claims, "sha256")
