"""Uploads and content: bytes in, shared, and gone, on both databases and both stores (DESIGN.md rules 1 and 10)."""

import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from pinakes.core.content import blobs
from pinakes.core.content.content import Content
from pinakes.core.content.stores import MemoryStore
from pinakes.core.content.uploads import HEAD_BYTES, State, Upload
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import trash
from pinakes.core.errors import BlobUnknown, ContentMissing, NameTaken, StorageFull, TooLarge
from tests.conftest import Backend, MovableClock
from tests.suites.content_store import MIB, listed, some_bytes


def finished(content: Content, written: bytes) -> Upload:
    """An upload of these bytes, stored and not adopted."""
    upload = content.receive(len(written))
    upload.write(written)
    upload.finish()
    return upload


def keep(backend: Backend, content: Content, written: bytes) -> str:
    """Take these bytes in; their digest."""
    with finished(content, written) as upload, backend.database.write() as transaction:
        return content.adopt(transaction, upload)


def let_go(backend: Backend, content: Content, digest: str) -> None:
    with backend.database.write() as transaction:
        content.release(transaction, [digest])


def read(content: Content, digest: str) -> bytes:
    reader = content.open(digest)
    try:
        return reader.read_at(0, reader.size_bytes)
    finally:
        reader.close()


def rows(backend: Backend) -> dict[str, str]:
    """The keys that blob rows refer to, by digest."""
    with backend.database.read() as connection:
        return {blob.digest: blob.key for blob in blobs.after(connection, "", 1_000)}


def is_tidy(backend: Backend) -> bool:
    """Whether every object has its row, every row its object, and no trash is left."""
    with backend.database.read() as connection:
        noted = list(connection.execute(select(trash.c.key)).scalars())
    return set(listed(backend.store)) == set(rows(backend).values()) and not noted


# -- Uploads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece_bytes", [1_000, 300_000, MIB])
def test_an_upload_tells_digest_size_and_head(backend: Backend, content: Content, piece_bytes: int) -> None:
    written = some_bytes(2 * MIB + 17)
    with content.receive() as upload:
        for start in range(0, len(written), piece_bytes):
            upload.write(written[start : start + piece_bytes])
        received = upload.finish()
        assert received.digest == hashlib.sha256(written).hexdigest()
        assert received.size_bytes == len(written)
        assert received.head == upload.head == written[:HEAD_BYTES]
    assert listed(backend.store) == {}, "it was not adopted"


def test_pieces_small_and_large_in_turn_are_hashed_in_order(backend: Backend, content: Content) -> None:
    pieces = [some_bytes(size, size) for size in (10, 400_000, 10, 300_000, 5)]
    with content.receive() as upload:
        for piece in pieces:
            upload.write(piece)
        assert upload.finish().digest == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_an_upload_cut_off_midway_leaves_nothing(backend: Backend, content: Content) -> None:
    with pytest.raises(ConnectionError), content.receive() as upload:
        upload.write(some_bytes(MIB))
        raise ConnectionError
    assert upload.state is State.DISCARDED
    assert listed(backend.store) == {}


def test_an_empty_upload_is_refused_and_leaves_nothing(backend: Backend, content: Content) -> None:
    with pytest.raises(ContentMissing), content.receive() as upload:
        upload.finish()
    assert listed(backend.store) == {}


def test_an_upload_that_grows_beyond_the_limit_is_refused(backend: Backend, clock: MovableClock) -> None:
    content = Content(backend.database, backend.store, clock, max_bytes=1_000)
    with pytest.raises(TooLarge), content.receive() as upload:
        upload.write(b"x" * 1_000)
        upload.write(b"x")
    assert listed(backend.store) == {}


def test_an_upload_announced_too_large_is_refused_before_it_begins(sqlite_url: str, clock: MovableClock) -> None:
    database = Database(sqlite_url)
    content = Content(database, MemoryStore(capacity_bytes=1_000), clock, max_bytes=900, reserve_bytes=200)
    with pytest.raises(TooLarge) as over_the_limit:
        content.receive(901)
    with pytest.raises(TooLarge) as over_the_room:
        content.receive(801)
    assert over_the_limit.value.limit_bytes == 900
    assert over_the_room.value.limit_bytes == 800
    content.receive(800).discard()


def test_a_store_that_fills_up_midway_leaves_nothing(sqlite_url: str, clock: MovableClock) -> None:
    store = MemoryStore(capacity_bytes=1_000)
    with pytest.raises(StorageFull), Content(Database(sqlite_url), store, clock).receive() as upload:
        for _ in range(3):
            upload.write(b"x" * 400)
    assert listed(store) == {}
    assert store.free_bytes() == 1_000


# -- Adopting and releasing ---------------------------------------------------------------------------------------


def test_adopted_bytes_are_read_by_their_digest(backend: Backend, content: Content) -> None:
    written = some_bytes(300_000)
    digest = keep(backend, content, written)
    assert read(content, digest) == written
    assert is_tidy(backend)


def test_an_unknown_digest_is_told_as_such(content: Content) -> None:
    with pytest.raises(BlobUnknown):
        content.open("0" * 64)


def test_the_same_bytes_are_kept_once(backend: Backend, content: Content) -> None:
    first = keep(backend, content, b"the same")
    key = rows(backend)[first]
    assert keep(backend, content, b"the same") == first
    assert rows(backend) == {first: key}
    assert set(listed(backend.store)) == {key}, "the newer object went"
    assert is_tidy(backend)


def test_shared_bytes_stay_until_the_last_reference_goes(backend: Backend, content: Content) -> None:
    digest = keep(backend, content, b"shared")
    keep(backend, content, b"shared")
    let_go(backend, content, digest)
    assert read(content, digest) == b"shared"
    let_go(backend, content, digest)
    with pytest.raises(BlobUnknown):
        content.open(digest)
    assert listed(backend.store) == {}
    assert is_tidy(backend)


def test_bytes_that_come_back_after_they_went_get_a_new_key(backend: Backend, content: Content) -> None:
    digest = keep(backend, content, b"again")
    old_key = rows(backend)[digest]
    let_go(backend, content, digest)
    assert keep(backend, content, b"again") == digest
    assert rows(backend)[digest] != old_key
    assert read(content, digest) == b"again"


def test_a_transaction_that_fails_keeps_no_bytes(backend: Backend, content: Content) -> None:
    def fail() -> None:
        with finished(content, b"for nothing") as upload, backend.database.write() as transaction:
            content.adopt(transaction, upload)
            raise NameTaken("taken")

    with pytest.raises(NameTaken):
        fail()
    assert rows(backend) == {}
    assert listed(backend.store) == {}


def test_a_failed_second_reference_leaves_the_first(backend: Backend, content: Content) -> None:
    digest = keep(backend, content, b"first")

    def fail() -> None:
        with finished(content, b"first") as upload, backend.database.write() as transaction:
            content.adopt(transaction, upload)
            raise NameTaken("taken")

    with pytest.raises(NameTaken):
        fail()
    assert read(content, digest) == b"first"
    assert is_tidy(backend)


def test_a_release_that_is_rolled_back_keeps_the_bytes(backend: Backend, content: Content) -> None:
    digest = keep(backend, content, b"kept after all")
    with pytest.raises(NameTaken), backend.database.write() as transaction:
        content.release(transaction, [digest])
        raise NameTaken("taken")
    assert read(content, digest) == b"kept after all"
    assert is_tidy(backend)


def test_an_upload_can_be_tried_again_after_its_transaction_failed(backend: Backend, content: Content) -> None:
    with finished(content, b"second try") as upload:
        with pytest.raises(NameTaken), backend.database.write() as transaction:
            content.adopt(transaction, upload)
            raise NameTaken("taken")
        with backend.database.write() as transaction:
            digest = content.adopt(transaction, upload)
    assert upload.state is State.KEPT
    assert read(content, digest) == b"second try"


def test_only_a_finished_upload_is_adopted_and_only_once(backend: Backend, content: Content) -> None:
    with content.receive() as upload, backend.database.write() as transaction:
        upload.write(b"x")
        with pytest.raises(RuntimeError):
            content.adopt(transaction, upload)
    with finished(content, b"once") as upload:
        with backend.database.write() as transaction:
            content.adopt(transaction, upload)
        with pytest.raises(RuntimeError), backend.database.write() as transaction:
            content.adopt(transaction, upload)


def test_many_references_go_in_one_release(backend: Backend, content: Content) -> None:
    digests = [keep(backend, content, bytes([number])) for number in (1, 2, 2, 3)]
    with backend.database.write() as transaction:
        content.release(transaction, digests)
    assert rows(backend) == {}
    assert listed(backend.store) == {}


def test_no_row_lacks_its_bytes_after_adopts_and_releases_race(backend: Backend, content: Content) -> None:
    """Four threads take in and let go of the same three contents; whatever stands at the end is whole."""
    written = [some_bytes(1_000, number) for number in range(3)]
    start = threading.Barrier(4)

    def work(seed: int) -> list[str]:
        dice = random.Random(seed)
        held: list[str] = []
        start.wait()
        for _ in range(25):
            if held and dice.random() < 0.55:
                let_go(backend, content, held.pop(dice.randrange(len(held))))
            else:
                held.append(keep(backend, content, dice.choice(written)))
                assert hashlib.sha256(read(content, held[-1])).hexdigest() == held[-1], "it was just acknowledged"
        return held

    with ThreadPoolExecutor(4) as threads:
        held = [digest for part in threads.map(work, range(4)) for digest in part]
    assert set(rows(backend)) == set(held)
    for digest in rows(backend):
        assert hashlib.sha256(read(content, digest)).hexdigest() == digest
    assert is_tidy(backend)
    with backend.database.write() as transaction:
        content.release(transaction, held)
    assert rows(backend) == {}, "the counts were right to the last"


def test_a_delete_racing_an_upload_of_the_same_bytes_never_takes_them(backend: Backend, content: Content) -> None:
    for round_number in range(10):
        written = some_bytes(500, round_number)
        digest = keep(backend, content, written)
        start = threading.Barrier(2)

        def upload(written: bytes = written, start: threading.Barrier = start) -> str:
            with finished(content, written) as upload:
                start.wait()
                with backend.database.write() as transaction:
                    return content.adopt(transaction, upload)

        def delete(digest: str = digest, start: threading.Barrier = start) -> None:
            start.wait()
            let_go(backend, content, digest)

        with ThreadPoolExecutor(2) as threads:
            uploading, deleting = threads.submit(upload), threads.submit(delete)
            assert uploading.result() == digest
            deleting.result()
        assert read(content, digest) == written
        assert is_tidy(backend)
