"""How the bytes of a slide come in: a form posted with a policy, staged until the client says that it is complete.

    presign ──> authenticate ──> admit ──> Transfer: write ... finish ──> staged      (a later upload replaces it)
                                                                            │
                                                          committing ───────┴──> version 1.0, never changed again

Whatever a policy allows, its key must be the uid of a slide that waits for bytes: asked when the file begins, and
again under a lock when it has come (pathomiq contract 5.4). So a policy opens nothing after its slide was committed or
deleted, and an upload that is under way then ends in a refusal. Where slides go straight to a bucket, `arrivals` does
what is done here by `admit` and `finish`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pinakes.core import audit
from pinakes.core.actor import Actor
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.content.inbox import Inbox
from pinakes.core.content.uploads import Found, Upload
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import ArrivalRefused, ImageUnknown, WrongState
from pinakes.core.presigned.authentication import authenticate
from pinakes.core.presigned.forms import PostForm
from pinakes.core.presigned.integrity import check_features, claims
from pinakes.core.presigned.keys import KeyRing
from pinakes.core.presigned.policies import SizeRange, parse_policy
from pinakes.core.presigned.posts import parse_options, presigned_fields
from pinakes.core.presigned.refusals import Code, refuse
from pinakes.core.presigned.signatures import KeyPair
from pinakes.core.slides import logs, records, rows, staging
from pinakes.core.slides.arrivals import Arrivals
from pinakes.core.slides.logs import LogType
from pinakes.core.slides.records import Slide
from pinakes.core.slides.slots import Slots
from pinakes.core.slides.staging import NOTHING_SENT, Staged, Target
from pinakes.core.slides.states import SlideStatus
from pinakes.core.slides.transfers import Transfer, begin_upload, check_announced
from pinakes.imaging.formats import sniff

Commit = Callable[[Transaction, Actor], None]


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """How slides are uploaded.

    bucket, region: under which names this place appears in policies.   key_pairs: that sign, the first one, and that
    are believed; made up if there are none.   max_bytes: the largest slide.   most_at_once: transfers of the slides of
    one user, in one process.   max_seconds: how long one transfer may take in all.
    """

    bucket: str = "pinakes"
    region: str = "us-east-1"
    key_pairs: tuple[KeyPair, ...] = ()
    max_bytes: int = 20 * 1024**3
    most_at_once: int = 8
    max_seconds: float = 12 * 3600.0


class SlideUploads:
    """Operations on bytes on their way in. max_bytes: the largest slide that is taken.

    bucket: into which forms are posted here; None if they are posted elsewhere.
    """

    def __init__(
        self, database: Database, content: Content, clock: Clock, options: UploadOptions, inbox: Inbox | None = None
    ) -> None:
        self._database = database
        self._content = content
        self._clock = clock
        self._keys = KeyRing(database, clock, options.key_pairs)
        self._slots = Slots(options.most_at_once)
        self.options = options
        self._arrivals = None if inbox is None else Arrivals(database, content, inbox)
        self.bucket = options.bucket if inbox is None else None
        self.max_bytes = min(options.max_bytes, content.max_bytes or options.max_bytes)

    @property
    def signing_key(self) -> KeyPair | None:
        """The pair that forms for this server are signed with; None if they are posted elsewhere."""
        return self._keys.signing if self._arrivals is None else None

    def check_presign(self, presign: object) -> None:
        """Raises InvalidFields for a member `presign` that `presign` would refuse."""
        parse_options(presign)

    def presign(self, slide: Slide, origin: str, presign: object = None) -> dict[str, str]:
        """The fields of a form that uploads this slide, and `url`, where to post it (pathomiq contract 4.6).

        origin: base of the public URL.   presign: the client's wishes. Raises InvalidFields. Not within a write.
        """
        wishes = parse_options(presign)
        if self._arrivals is not None:
            return self._arrivals.presign(slide.uid, wishes, self.max_bytes)
        fields = presigned_fields(
            self._keys.signing,
            bucket=self.options.bucket,
            key=slide.uid,
            region=self.options.region,
            max_bytes=self.max_bytes,
            options=wishes,
            now=self._clock(),
        )
        return {"url": f"{origin}/S3/{self.options.bucket}", **fields}

    def authenticate(self, form: PostForm) -> None:
        """Raises UploadRefused unless the form was signed with a key of ours."""
        authenticate(form, self._keys.find, self.options.region, self._clock())

    def admit(self, actor: Actor, form: PostForm, announced_bytes: int | None) -> Transfer:
        """Begin to take the file of a form that was authenticated.

        announced_bytes: how large the file can be at most, if that is known. Raises UploadRefused, StorageFull,
        StoreUnavailable.
        """
        policy = parse_policy(form.fields["policy"])
        policy.check(form, self.options.bucket, self._clock())
        with self._database.read() as connection:
            target = _waiting(staging.find(connection, form.key))
        check_features(form)
        size_range = policy.size_range.within(SizeRange(1, self.max_bytes))
        check_announced(announced_bytes, size_range)
        claimed = claims(form)
        self._slots.take(target.owner_id)
        try:
            upload = begin_upload(self._content, announced_bytes, size_range, claimed)
        except BaseException:
            self._slots.give_back(target.owner_id)
            raise
        return Transfer(
            upload,
            size_range,
            claimed,
            stage=partial(self.stage, actor, target.uid),
            on_end=partial(self._slots.give_back, target.owner_id),
        )

    def note_refusal(self, key: str, code: str) -> None:
        """Tell in the slide's log that an upload with a valid signature came to nothing; code: S3's word for why."""
        with self._database.write() as transaction:
            target = staging.find(transaction, key)
            if target is not None:
                self._log(transaction, target, f"An upload was refused: {code}.")

    def stage(self, actor: Actor, uid: str, upload: Upload, staged: Staged) -> None:
        """Make a finished upload what the slide has staged; an earlier one goes. Raises UploadRefused."""
        with self._database.write() as transaction:
            target = _waiting(self._held(transaction, uid))
            staging.stage(transaction, target.id, None)  # or the former's row could not go
            former = [target.staged.digest] if target.staged else []
            # Blob rows are locked in one order by everybody, or two transfers could wait for each other.
            goes_first = former < [staged.digest]
            self._content.release(transaction, former if goes_first else [])
            self._content.adopt(transaction, upload)
            self._content.release(transaction, [] if goes_first else former)
            staging.stage(transaction, target.id, staged)
            detail = {"size_bytes": staged.size_bytes}
            audit.record(transaction, actor, self._clock(), Event(Action.UPLOAD_STAGE, target.id, detail=detail))
            self._log_received(transaction, target, staged)

    @contextmanager
    def committing(self, slide: Slide) -> Iterator[Commit]:
        """What makes the bytes that were sent the slide's content for good, and the slide uploaded.

        It is to be called within the block, in a write; it does nothing to a slide that was uploaded meanwhile.
        Raises WrongState if nothing was sent, ImageUnknown, StoreUnavailable, as does what is given.
        """
        if self._arrivals is None:
            yield partial(self._commit_staged, slide.uid)
            return
        try:
            with self._arrivals.take(slide.uid, self.max_bytes) as (found, staged):
                yield partial(self._commit_arrived, self._arrivals, slide.uid, found, staged)
        except ArrivalRefused as refusal:
            self.note_refusal(slide.uid, refusal.code)
            raise

    def put(self, actor: Actor, slide: Slide, upload: Upload) -> None:
        """Make a finished upload that came without a form the slide's content for good. It must have its MD5.

        Raises ImageUnknown, UploadRefused if something is uploaded already.
        """
        assert upload.received is not None
        received = upload.received
        etag = received.further["md5"]
        self.stage(actor, slide.uid, upload, Staged(received.digest, received.size_bytes, sniff(received.head), etag))
        with self._database.write() as transaction:
            self._commit_staged(slide.uid, transaction, actor)

    def forget(self, transaction: Transaction, slide: Slide) -> None:
        """The slide is being deleted: its staged bytes go with its row, and no transfer finds it any more."""
        arrivals = self._arrivals
        if arrivals is not None:
            transaction.after_commit(partial(arrivals.forget, slide.uid))

    def sweep(self) -> None:
        """Remove what was sent to a bucket for slides that do not wait for it. Raises StoreUnavailable."""
        if self._arrivals is not None:
            self._arrivals.sweep()

    def _commit_staged(self, uid: str, transaction: Transaction, actor: Actor) -> None:
        target = self._uncommitted(transaction, uid)
        if target is not None:
            self._commit(transaction, actor, target, target.staged)

    def _commit_arrived(
        self, arrivals: Arrivals, uid: str, found: Found, staged: Staged, transaction: Transaction, actor: Actor
    ) -> None:
        target = self._uncommitted(transaction, uid)
        if target is None:
            return
        self._content.adopt(transaction, found)
        self._log_received(transaction, target, staged)
        self._commit(transaction, actor, target, staged)
        transaction.after_commit(partial(arrivals.forget, uid))

    def _uncommitted(self, transaction: Transaction, uid: str) -> Target | None:
        """The slide, held; None if it is uploaded already. Raises ImageUnknown."""
        target = self._held(transaction, uid)
        if target is None:
            raise ImageUnknown
        return None if target.is_uploaded else target

    def _commit(self, transaction: Transaction, actor: Actor, target: Target, staged: Staged | None) -> None:
        """Raises WrongState if nothing is staged."""
        if staged is None:
            raise WrongState(NOTHING_SENT)
        now = self._clock()
        version_id = staging.commit(transaction, target, staged, actor.user_id or target.owner_id, now)
        rows.change(transaction, target.id, {"status": SlideStatus.UPLOADED.value}, now)
        audit.record(
            transaction,
            actor,
            now,
            Event(Action.VERSION_CREATE, target.id, subject=f"version:{version_id}"),
            Event(Action.IMAGE_UPDATE, target.id, detail={"changed": ["status"]}),
        )
        self._log(transaction, target, f"The status is now {SlideStatus.UPLOADED}.", LogType.IMAGE, actor.user_id)

    def _held(self, transaction: Transaction, uid: str) -> Target | None:
        """The slide, which nobody else changes until the transaction ends."""
        target = staging.find(transaction, uid)
        if target is None:
            return None
        records.lock(transaction, target.id)
        return staging.find(transaction, uid)

    def _log_received(self, transaction: Transaction, target: Target, staged: Staged) -> None:
        self._log(transaction, target, f'{staged.size_bytes} bytes were received, ETag "{staged.etag}".')

    def _log(
        self,
        transaction: Transaction,
        target: Target,
        message: str,
        kind: LogType = LogType.UPLOAD,
        user_id: int | None = None,
    ) -> None:
        logs.append(transaction, target.id, target.uid, kind, message, user_id=user_id, now=self._clock())


def _waiting(target: Target | None) -> Target:
    """Raises UploadRefused unless the slide is there and may still be given bytes (contract 5.4)."""
    if target is None:
        raise refuse(Code.ACCESS_DENIED)
    if target.is_uploaded:
        raise refuse(Code.OPERATION_ABORTED)
    return target
