"""Importing by URL: an image, or a version of one, whose content a worker fetches from elsewhere.

    start_machine, start_version     what is to be filled, its download and its job: one transaction
    the job                          fetch, judge, store; then content, name and download: one transaction
    on_end of the job                what is left open is closed with the reason

The URL's password is in the job's arguments and nowhere else; they are emptied when the job ends. A job whose worker
died begins again with the first byte.
"""

from collections.abc import Collection
from typing import Final

from pinakes.core.access import policy
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.catalogue import machine_records
from pinakes.core.catalogue import records as image_records
from pinakes.core.catalogue.images import Images
from pinakes.core.catalogue.machine_records import Download, MachineImage
from pinakes.core.catalogue.machines import Machines, NewMachine
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.content.uploads import Upload
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import (
    ContentExists,
    DatabaseUnavailable,
    NotAllowed,
    PinakesError,
    VersionUnknown,
    WrongState,
)
from pinakes.core.imports import records
from pinakes.core.imports.fetching import Fetcher
from pinakes.core.imports.intake import CI_RULE, DISK_RULE, Intake
from pinakes.core.imports.sources import Source, parse_source
from pinakes.core.imports.transfer import FetchFailed
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.jobs.kinds import Job, JobFailed, JobKind, JobState, Work

KIND: Final = "import"
CANCELLED: Final = "The import was cancelled."

_API = "jobs"
_MOST_RUNNING = 4
_MOST_PER_USER = 100


class Imports:
    """Operations on imports, and the kind of job that does them.

    max_bytes: the largest file fetched, None for no limit but that of every upload.
    """

    def __init__(
        self,
        database: Database,
        content: Content,
        images: Images,
        machines: Machines,
        jobs: Jobs,
        fetcher: Fetcher,
        clock: Clock,
        *,
        max_bytes: int | None = None,
    ) -> None:
        self._database = database
        self._content = content
        self._images = images
        self._machines = machines
        self._jobs = jobs
        self._fetcher = fetcher
        self._clock = clock
        self._max_bytes = max_bytes

    @property
    def kind(self) -> JobKind:
        return JobKind(KIND, self._run, _MOST_RUNNING, _MOST_PER_USER, on_end=self._on_end, on_start=self._on_start)

    # -- Asking for one --------------------------------------------------------------------------------------------

    def start_machine(self, actor: Actor, new: NewMachine, url: str) -> MachineImage:
        """Catalogue a machine image whose content is to be fetched; its namespace, name and job come with it.

        With a ci_name only a qcow2 is taken, else any format of a disk. Raises Unauthenticated, KindMissing,
        ScopeMissing, InvalidFields (for the URL with `sources.FIELD`), NameTaken, TooManyJobs.
        """
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        source = parse_source(url)
        with self._database.write() as transaction:
            image_id = self._machines.announce(transaction, actor, new)
            self._start(transaction, actor, image_id, None, source, url, is_ci=new.ci_name is not None)
            made = machine_records.find(transaction, actor, image_id, self._clock())
        assert made is not None
        return made

    def start_version(self, actor: Actor, version_id: int, url: str) -> Download:
        """Fetch the content of a version that has none yet; what was noted of an attempt that failed is replaced.

        A qcow2 if the image's Djinn name waits for a version, else any format of a disk. Raises Unauthenticated,
        KindMissing, ScopeMissing, InvalidFields (`sources.FIELD`), VersionUnknown, NotAllowed, ContentExists,
        WrongState while another attempt is under way, TooManyJobs.
        """
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        source = parse_source(url)
        with self._database.write() as transaction:
            image_id = self._fillable(transaction, actor, version_id)
            records.forget_finished(transaction, version_id)
            if records.of_versions(transaction, [version_id]):
                raise WrongState("The content of this version is being fetched already.")
            is_ci = machine_records.has_waiting_name(transaction, image_id)
            self._start(transaction, actor, image_id, version_id, source, url, is_ci=is_ci)
            return records.of_versions(transaction, [version_id])[version_id]

    def of_versions(self, version_ids: Collection[int]) -> dict[int, Download]:
        """The last attempt to fetch each version's content, by version; for whoever may see the versions."""
        with self._database.read() as connection:
            return records.of_versions(connection, version_ids)

    def _start(
        self,
        transaction: Transaction,
        actor: Actor,
        image_id: int,
        version_id: int | None,
        source: Source,
        url: str,
        *,
        is_ci: bool,
    ) -> None:
        arguments = {"url": url, "version_id": version_id, "is_ci": is_ci}
        job_id = self._jobs.enqueue(transaction, actor, KIND, arguments, image_id=image_id)
        records.add(transaction, image_id, version_id, source.shown, job_id, self._clock())

    def _fillable(self, transaction: Transaction, actor: Actor, version_id: int) -> int:
        """The image of a version that the actor may give its content, held."""
        now = self._clock()
        target = records.find_target(transaction, version_id)
        if target is None or not image_records.hold(transaction, target.image_id):
            raise VersionUnknown
        image = image_records.find(transaction, actor, target.image_id, now)
        if image is None or image.kind is not Kind.MACHINE or not policy.may_read(actor, image.facts, now):
            raise VersionUnknown
        if not policy.may_change(actor, image.facts, now):
            raise NotAllowed
        if target.has_content:
            raise ContentExists
        return image.id

    # -- The job ---------------------------------------------------------------------------------------------------

    def _run(self, work: Work) -> None:
        work.step("fetch", lambda: self._fetch(work))

    def _fetch(self, work: Work) -> None:
        """Also where a former attempt was killed between its last commit and the end of the step."""
        assert work.image_id is not None
        with self._database.read() as connection:
            if not records.is_open(connection, work.image_id, work.job_id):
                return
        rule = CI_RULE if work.arguments["is_ci"] else DISK_RULE
        try:
            with Intake(self._content, rule, self._max_bytes, work.progress) as intake:
                self._fetcher.fetch(parse_source(work.arguments["url"]), intake, work.check)
                self._keep(work, work.image_id, intake.finish())
        except FetchFailed as failed:
            raise JobFailed(str(failed)) from None
        except DatabaseUnavailable:
            raise
        except PinakesError as error:
            raise JobFailed(error.message) from None

    def _keep(self, work: Work, image_id: int, upload: Upload) -> None:
        """Content, name and download in one transaction, unless the job is not this worker's any more."""
        actor = Actor(_API, work.user_id)
        version_id: int | None = work.arguments["version_id"]
        with self._database.write() as transaction:
            work.fence(transaction)
            if version_id is None:
                assert work.user_id is not None
                made = self._images.add_first_version(transaction, actor, image_id, work.user_id, upload)
                machine_records.give_name(transaction, image_id, made)
            else:
                target = records.find_target(transaction, version_id)
                if target is None:
                    raise VersionUnknown
                self._machines.fill(transaction, actor, target.image_id, version_id, upload)
            records.finish(transaction, image_id, work.job_id, None, self._clock())

    def _on_start(self, transaction: Transaction, job: Job) -> None:
        assert job.image_id is not None
        records.start(transaction, job.image_id, job.id, self._clock())

    def _on_end(self, transaction: Transaction, job: Job) -> None:
        assert job.image_id is not None
        error = CANCELLED if job.state is JobState.CANCELLED else job.error
        records.finish(transaction, job.image_id, job.id, error, self._clock())
