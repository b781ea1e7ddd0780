"""Ingest: what every new content is, is read soon after it came, by a job; what fails can be asked for again.

Nothing is refused for being unreadable: it is stored, and the reason is noted (`catalogue.reading`).
"""

from typing import Final

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_account
from pinakes.core.actor import Actor, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import descriptions, reading
from pinakes.core.catalogue.descriptions import Described
from pinakes.core.catalogue.records import Version
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database
from pinakes.core.errors import DatabaseUnavailable, DecodingUnavailable, NotAllowed, NotAnImage, Unavailable
from pinakes.core.jobs.kinds import JobFailed, JobKind, Work
from pinakes.core.renditions.reading import ContentReader
from pinakes.core.renditions.renditions import Renditions

_BATCH: Final = 20
_ATTEMPTS: Final = (True, False)
"""Each with a digest of the pixels or without: what dies of being decoded can be described yet."""
_MOST_PUT_OFF: Final = 100

CRASHED: Final = "The content could not be read: it takes too long, or the process that reads it dies of it."
PUT_OFF: Final = "Some contents could not be had or noted just now; they will be read later."


class Ingest:
    """Operations on readings, and the kind of job that does them. There is never more than one such job running."""

    def __init__(self, database: Database, renditions: Renditions, reader: ContentReader, clock: Clock) -> None:
        self._database = database
        self._renditions = renditions
        self._reader = reader
        self._clock = clock

    @property
    def kind(self) -> JobKind:
        return JobKind(reading.JOB_KIND, self._run, most_running=1, most_per_user=1)

    def find(self, actor: Actor, image_id: int, version: str | None = None) -> Described:
        """What has been read of an image's content, and how that stands.

        Raises what `Renditions.described` does.
        """
        _, found = self._renditions.described(actor, image_id, version)
        return found

    def retry(self, actor: Actor, image_id: int, version: str | None = None) -> Described:
        """Have a content read again; how that stands then. For those who may change the image.

        Raises Unauthenticated, NotAllowed, and what `find` raises.
        """
        require_account(actor, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            facts, found = self._renditions.described(actor, image_id, version)
            now = self._clock()
            if not policy.may_change(actor, facts, now):
                raise NotAllowed
            reading.ask(transaction, found.version.id, now)
            detail = {"kind": reading.JOB_KIND}
            asked = Event(Action.JOB_CREATE, image_id, subject=f"version:{found.version.id}", detail=detail)
            audit.record(transaction, actor, now, asked)
        return self.find(actor, image_id, version)

    def resume(self) -> None:
        """Ask for a job if something waits and none is under way: the last one failed, or was stopped."""
        with self._database.write() as transaction:
            reading.ask_again(transaction, self._clock())

    # -- The job ---------------------------------------------------------------------------------------------------

    def _run(self, work: Work) -> None:
        work.step("read", lambda: self._read_waiting(work))

    def _read_waiting(self, work: Work) -> None:
        """Until nothing waits but what cannot be had just now."""
        put_off: set[int] = set()
        while len(put_off) < _MOST_PUT_OFF and (found := self._waiting(put_off)):
            for version in found:
                work.check()
                if not self._read(version):
                    put_off.add(version.id)
        if put_off:
            raise JobFailed(PUT_OFF)

    def _waiting(self, put_off: set[int]) -> list[Version]:
        with self._database.read() as connection:
            found = descriptions.waiting(connection, _BATCH + len(put_off))
        return [version for version in found if version.id not in put_off]

    def _read(self, version: Version) -> bool:
        """Whether it has been read, or failed for good."""
        for pixel_digest in _ATTEMPTS:
            try:
                self._reader.ingest(version, pixel_digest=pixel_digest)
            except DecodingUnavailable:
                continue
            except NotAnImage:
                return True
            except DatabaseUnavailable:
                raise
            except Unavailable:
                return False
            else:
                return True
        self._reader.fail(version, CRASHED)
        return True
