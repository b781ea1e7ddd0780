"""Uploads of slides that meet: with one another, with DELETE and with the commit (pathomiq contract 5.4)."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from pinakes.core import audit
from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive, assemble
from pinakes.core.audit import Action
from pinakes.core.content.verify import verify
from pinakes.core.db.schema import blobs, images
from pinakes.core.errors import StorageFull, UploadRefused
from pinakes.core.presigned.forms import PostForm
from pinakes.core.presigned.signatures import KeyPair
from pinakes.core.slides.records import NewSlide, Slide
from pinakes.core.slides.states import SlideStatus
from pinakes.core.slides.transfers import Transfer
from pinakes.core.slides.uploads import UploadOptions
from tests.conftest import Backend, MovableClock

CALLER = Actor("pathomiq")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lab:
    """An archive with one user, and what its uploads need."""

    archive: Archive
    actor: Actor

    def slide(self) -> Slide:
        return self.archive.slides.create(self.actor, NewSlide("Test.svs"))

    def begin(self, slide: Slide, announced_bytes: int | None = None) -> Transfer:
        fields = self.archive.slide_uploads.presign(slide, "http://archive.example")
        form = PostForm.gather(((name, value) for name, value in fields.items() if name != "url"), "Test.svs")
        self.archive.slide_uploads.authenticate(form)
        return self.archive.slide_uploads.admit(CALLER, form, announced_bytes)

    def send(self, slide: Slide, content: bytes) -> str:
        transfer = self.begin(slide)
        try:
            for start in range(0, len(content), MIB):
                transfer.write(content[start : start + MIB])
            return transfer.finish()
        finally:
            transfer.discard()

    def commit(self, slide: Slide) -> Slide:
        return self.archive.slides.update(self.actor, slide.id, {}, SlideStatus.UPLOADED)

    def content(self, slide: Slide) -> bytes:
        found = self.archive.slides.find(self.actor, slide.uid)
        reader = self.archive.slides.open(self.actor, found)
        try:
            return reader.read_at(0, reader.size_bytes)
        finally:
            reader.close()

    def check_whole(self, objects: int) -> None:
        """As many objects as are referred to, none partial, every count right, no place taken any more."""
        stored = list(self.archive.store.list())
        assert [one.is_partial for one in stored] == [False] * objects
        with self.archive.database.read() as connection:
            assert connection.execute(select(func.count()).select_from(blobs)).scalar_one() == objects
        assert list(verify(self.archive.database, self.archive.store)) == []
        assert self.archive.slide_uploads._slots._taken == {}


@pytest.fixture
def lab(backend: Backend, clock: MovableClock, tmp_path: Path) -> Iterator[Lab]:
    archive = assemble(
        backend.database,
        backend.store,
        journal_directory=tmp_path / "journals",
        clock=clock,
        upload_options=UploadOptions(key_pairs=(KeyPair("AKIDEXAMPLE", "invented"),), most_at_once=4),
    )
    user = archive.users.add(Actor("cli"), "ana", "ana@example.org", None, (Kind.SLIDE,))
    token = archive.credentials.create(Actor("cli"), user.name, scope=None, expires_at=None, label="")
    yield Lab(archive, archive.credentials.actor("pathomiq", token))
    archive.close()


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    def attempt(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except UploadRefused as refusal:
            return refusal.code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(attempt, calls))


def test_uploads_of_one_slide_at_once_never_mix(lab: Lab) -> None:
    slide = lab.slide()
    contents = [bytes([number]) * (MIB + number) for number in range(4)]
    etags = at_once(*(lambda content=content: lab.send(slide, content) for content in contents))
    assert etags == [hashlib.md5(content).hexdigest() for content in contents]
    lab.check_whole(objects=1)
    lab.commit(slide)
    assert lab.content(slide) in contents


def test_slides_that_take_each_others_bytes_do_not_wait_for_each_other(lab: Lab) -> None:
    """Two transactions that adopt and release the same two digests, each in its own sense."""
    first, second = lab.slide(), lab.slide()
    contents = [b"a" * 100, b"b" * 100]
    for turn in range(6):
        ahead, behind = contents[turn % 2], contents[(turn + 1) % 2]
        sent = at_once(lambda: lab.send(first, ahead), lambda: lab.send(second, behind))  # noqa: B023
        assert sent == [hashlib.md5(ahead).hexdigest(), hashlib.md5(behind).hexdigest()]
    lab.check_whole(objects=2)


def test_a_transfer_during_which_the_slide_is_deleted_leaves_no_trace(lab: Lab) -> None:
    slide = lab.slide()
    lab.send(slide, b"staged before")
    transfer = lab.begin(slide)
    transfer.write(b"on its way")
    lab.archive.slides.delete(lab.actor, slide.uid)
    with pytest.raises(UploadRefused) as caught:
        transfer.finish()
    transfer.discard()
    assert caught.value.code == "AccessDenied"
    lab.check_whole(objects=0)


def test_a_transfer_during_which_the_slide_is_committed_changes_nothing(lab: Lab) -> None:
    slide = lab.slide()
    lab.send(slide, b"staged before")
    transfer = lab.begin(slide)
    transfer.write(b"on its way")
    lab.commit(slide)
    with pytest.raises(UploadRefused) as caught:
        transfer.finish()
    transfer.discard()
    assert caught.value.code == "OperationAborted"
    assert lab.content(slide) == b"staged before"
    lab.check_whole(objects=1)


def test_deleting_and_uploading_at_once_leave_nothing_whoever_is_first(lab: Lab) -> None:
    for _ in range(5):
        slide = lab.slide()
        lab.send(slide, b"staged before")
        outcome, _ = at_once(
            lambda: lab.send(slide, b"on its way"),  # noqa: B023
            lambda: lab.archive.slides.delete(lab.actor, slide.uid),  # noqa: B023
        )
        assert outcome in (hashlib.md5(b"on its way").hexdigest(), "AccessDenied")
    lab.check_whole(objects=0)


def test_commits_at_once_make_one_version(lab: Lab) -> None:
    slide = lab.slide()
    lab.send(slide, b"staged")
    at_once(*[lambda: lab.commit(slide)] * 3)
    found = lab.archive.slides.find(lab.actor, slide.uid)
    assert (found.status, found.content and found.content.name) == (SlideStatus.UPLOADED, "1.0")
    assert found.etag == hashlib.md5(b"staged").hexdigest()
    lab.check_whole(objects=1)


def test_a_commit_and_the_other_changes_of_the_same_call_happen_together_or_not_at_all(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract 4.8: all or nothing, also where the archive fails in the middle."""
    slide = lab.slide()
    lab.send(slide, b"staged")
    with monkeypatch.context() as patch:
        patch.setattr(lab.archive.slides, "_apply", _fail)
        with pytest.raises(StorageFull):
            lab.archive.slides.update(lab.actor, slide.id, {"location": "x"}, SlideStatus.UPLOADED)
    assert lab.archive.slides.find(lab.actor, slide.uid) == slide
    assert len(lab.archive.slide_logs.of_slide(lab.actor, slide.uid)) == 2
    assert lab.commit(slide).is_uploaded
    lab.check_whole(objects=1)


def _fail(*_: object) -> None:
    raise StorageFull


def test_two_slides_may_have_the_same_bytes(lab: Lab) -> None:
    first, second = lab.slide(), lab.slide()
    for slide in (first, second):
        lab.send(slide, b"the same")
        lab.commit(slide)
    lab.archive.slides.delete(lab.actor, first.uid)
    assert lab.content(second) == b"the same"
    lab.check_whole(objects=1)


def test_one_user_has_only_so_many_transfers_at_once(lab: Lab) -> None:
    """Contract 5.4; a place is free again as soon as a transfer has ended, and only once."""
    slides = [lab.slide() for _ in range(5)]
    transfers = [lab.begin(slide) for slide in slides[:4]]
    with pytest.raises(UploadRefused) as caught:
        lab.begin(slides[4])
    assert caught.value.code == "SlowDown"
    transfers[0].discard()
    transfers[0].discard()
    transfers[0] = lab.begin(slides[4])
    with pytest.raises(UploadRefused):
        lab.begin(slides[0])
    for transfer in transfers:
        transfer.discard()
    lab.check_whole(objects=0)


def test_a_file_that_would_not_fit_beside_what_stays_free_is_not_begun(
    backend: Backend, clock: MovableClock, tmp_path: Path, lab: Lab
) -> None:
    """Contract 5.4: the free space is looked at. A bucket cannot tell its own: there nothing is known beforehand."""
    full = assemble(
        backend.database,
        backend.store,
        journal_directory=tmp_path / "journals",
        reserve_bytes=2**60,
        upload_options=lab.archive.slide_uploads.options,
    )
    slide = lab.slide()
    if backend.store.free_bytes() is None:
        Lab(full, lab.actor).begin(slide, announced_bytes=1000).discard()
    else:
        with pytest.raises(StorageFull):
            Lab(full, lab.actor).begin(slide, announced_bytes=1000)
    assert full.slide_uploads._slots._taken == {}


def test_a_staged_file_is_an_event_of_the_audit_trail(lab: Lab) -> None:
    slide = lab.slide()
    lab.send(slide, b"staged")
    lab.commit(slide)
    with lab.archive.database.read() as connection:
        happened = [(event.action, event.actor_id) for event in audit.of_image(connection, slide.id)]
        assert connection.execute(select(func.count()).select_from(images)).scalar_one() == 1
    own = lab.actor.user_id
    assert happened == [
        (Action.IMAGE_CREATE, own),
        (Action.UPLOAD_STAGE, None),
        (Action.VERSION_CREATE, own),
        (Action.IMAGE_UPDATE, own),
    ]
