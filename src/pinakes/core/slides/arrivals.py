"""Slides that clients put straight into a bucket, and how they become content of ours (pathomiq contract, section 6).

    presign ──> the client posts to the bucket ──> take: find, pin, read ──> a version; then the inbox is emptied

The bucket cannot be told that a form counts no longer. So what becomes content is a copy of exactly the object that was
found, and whatever is posted again with an old form stays in the inbox, where nothing looks for it, until `sweep`.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from pinakes.core.content.content import Content
from pinakes.core.content.inbox import Inbox
from pinakes.core.content.uploads import Found
from pinakes.core.db.engine import Database
from pinakes.core.errors import ArrivalRefused, StoreUnavailable, WrongState
from pinakes.core.presigned.posts import PostOptions
from pinakes.core.presigned.refusals import Code
from pinakes.core.slides import staging
from pinakes.core.slides.staging import NOTHING_SENT, Staged
from pinakes.imaging.formats import sniff

log = logging.getLogger(__name__)

_BATCH = 500


class Arrivals:
    """The inbox, as slides use it. The key of a slide is its uid."""

    def __init__(self, database: Database, content: Content, inbox: Inbox) -> None:
        self._database = database
        self._content = content
        self._inbox = inbox

    def presign(self, uid: str, options: PostOptions, max_bytes: int) -> dict[str, str]:
        return self._inbox.presign(
            uid,
            max_bytes=max_bytes,
            expires_seconds=options.expires_seconds,
            signature_version=options.signature_version,
            fields=dict(options.fields),
            conditions=options.conditions,
        )

    @contextmanager
    def take(self, uid: str, max_bytes: int) -> Iterator[tuple[Found, Staged]]:
        """What was sent for a slide, pinned and read; for the block, in which it is to be adopted.

        Raises WrongState if nothing was sent, ArrivalRefused if it was too much or was replaced meanwhile,
        StoreUnavailable.
        """
        arrived = self._inbox.find(uid)
        if arrived is None or not arrived.size_bytes:
            raise WrongState(NOTHING_SENT)
        if arrived.size_bytes > max_bytes:
            message = f"The file is larger than the {max_bytes} bytes that can be taken."
            raise ArrivalRefused(Code.ENTITY_TOO_LARGE, message)

        def pin(key: str) -> None:
            if not self._inbox.pin(arrived, key):
                message = "The file was replaced while it was looked at; try again."
                raise ArrivalRefused(Code.PRECONDITION_FAILED, message)

        with self._content.take(pin) as found:
            assert found.received is not None
            received = found.received
            yield found, Staged(received.digest, received.size_bytes, sniff(received.head), arrived.etag)

    def forget(self, uid: str) -> None:
        """Remove what was sent for a slide. What fails is left to `sweep`."""
        try:
            self._inbox.remove(uid)
        except StoreUnavailable:
            log.warning("an object of the inbox could not be deleted yet; the sweep will retry")

    def sweep(self) -> None:
        """Remove what lies in the inbox for slides that wait for nothing: committed, or deleted.

        What has the key of no slide that ever was is somebody else's. Raises StoreUnavailable, DatabaseUnavailable.
        """
        keys = self._inbox.keys()
        while batch := list(islice(keys, _BATCH)):
            with self._database.read() as connection:
                finished = staging.finished(connection, batch)
            for uid in finished:
                self.forget(uid)
