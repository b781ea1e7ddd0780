"""What every content store must do. A subclass named `Test...` gives the `store` fixture."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pinakes.core.clock import HOUR, now
from pinakes.core.content.store import ContentStore, StoredObject, new_key
from pinakes.core.errors import BlobUnknown, StoreUnavailable

MIB = 1024 * 1024


def some_bytes(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def put(store: ContentStore, content: bytes, *, expected_bytes: int | None = None) -> str:
    """Store an object in pieces of up to 1 MiB; its key."""
    key = new_key()
    writer = store.begin(key, expected_bytes=expected_bytes)
    for start in range(0, len(content), MIB):
        writer.write(content[start : start + MIB])
    writer.commit()
    return key


def get(store: ContentStore, key: str, piece_bytes: int = MIB) -> bytes:
    """Read an object from its beginning to its end."""
    reader = store.open(key)
    pieces: list[bytes] = []
    while piece := reader.read_at(sum(map(len, pieces)), piece_bytes):
        pieces.append(piece)
    reader.close()
    return b"".join(pieces)


def listed(store: ContentStore) -> dict[str, StoredObject]:
    return {found.key: found for found in store.list()}


class ContentStoreSuite:
    """One test a promise of `pinakes.core.content.store`."""

    @pytest.fixture
    def store(self) -> ContentStore:
        raise NotImplementedError

    # -- Writing --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [0, 1, 4096, MIB + 1])
    def test_bytes_come_back_as_they_were_written(self, store: ContentStore, size: int) -> None:
        content = some_bytes(size)
        key = put(store, content)
        assert get(store, key) == content
        assert store.open(key).size_bytes == size

    def test_an_object_of_many_parts_comes_back_whole(self, store: ContentStore) -> None:
        content = some_bytes(25 * MIB + 3)
        key = put(store, content, expected_bytes=len(content))
        assert get(store, key, 3 * MIB + 1) == content

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_pieces_of_every_kind_and_size_are_joined_in_order(
        self, store: ContentStore, kind: Callable[[bytes], bytes]
    ) -> None:
        content = some_bytes(9 * MIB)
        key = new_key()
        writer = store.begin(key)
        start = 0
        for size in (1, 0, 2, 70_000, 5 * MIB, len(content)):
            writer.write(kind(content[start : start + size]))
            start += size
        writer.commit()
        assert get(store, key) == content

    def test_a_buffer_may_be_used_again_after_it_was_written(self, store: ContentStore) -> None:
        key = new_key()
        writer = store.begin(key)
        buffer = bytearray(10)
        for number in range(5):
            buffer[:] = bytes([number]) * 10
            writer.write(buffer)
        writer.commit()
        assert get(store, key) == b"".join(bytes([number]) * 10 for number in range(5))

    def test_nothing_can_be_read_before_the_commit(self, store: ContentStore) -> None:
        key = new_key()
        writer = store.begin(key)
        writer.write(b"not yet")
        with pytest.raises(BlobUnknown):
            store.open(key)
        assert not [found for found in store.list() if found.key == key and not found.is_partial]
        writer.abort()

    @pytest.mark.parametrize("size", [0, 10, 18 * MIB])
    def test_an_aborted_object_leaves_nothing(self, store: ContentStore, size: int) -> None:
        key = new_key()
        writer = store.begin(key, expected_bytes=size)
        writer.write(some_bytes(size))
        writer.abort()
        writer.abort()
        assert listed(store) == {}
        with pytest.raises(BlobUnknown):
            store.open(key)

    def test_an_abort_after_the_commit_does_nothing(self, store: ContentStore) -> None:
        key = new_key()
        writer = store.begin(key)
        writer.write(b"kept")
        writer.commit()
        writer.abort()
        assert get(store, key) == b"kept"

    @pytest.mark.parametrize("ending", ["commit", "abort"])
    def test_a_writer_that_has_ended_takes_nothing_more(self, store: ContentStore, ending: str) -> None:
        writer = store.begin(new_key())
        getattr(writer, ending)()
        with pytest.raises(RuntimeError):
            writer.write(b"more")
        with pytest.raises(RuntimeError):
            writer.commit()

    def test_objects_written_side_by_side_do_not_mix(self, store: ContentStore) -> None:
        contents = [some_bytes(2 * MIB + number, number) for number in range(6)]
        with ThreadPoolExecutor(6) as threads:
            keys = list(threads.map(lambda content: put(store, content), contents))
            assert list(threads.map(lambda key: get(store, key), keys)) == contents

    # -- Reading --------------------------------------------------------------------------------------------------

    def test_any_range_can_be_read_in_any_order(self, store: ContentStore) -> None:
        content = some_bytes(3 * MIB)
        reader = store.open(put(store, content))
        dice = random.Random(1)
        ranges = [(dice.randrange(len(content)), dice.randrange(1, 2 * MIB)) for _ in range(40)]
        for offset, length in [(0, 1), (len(content) - 1, 1), (0, len(content)), *ranges]:
            assert reader.read_at(offset, length) == content[offset : offset + length]
        reader.close()

    def test_reading_stops_at_the_end(self, store: ContentStore) -> None:
        reader = store.open(put(store, b"0123456789"))
        assert reader.read_at(8, 100) == b"89"
        assert reader.read_at(10, 1) == b""
        assert reader.read_at(1_000, 5) == b""
        assert reader.read_at(3, 0) == b""
        reader.close()

    def test_what_is_read_without_waiting_is_right_or_nothing(self, store: ContentStore) -> None:
        content = some_bytes(2 * MIB)
        reader = store.open(put(store, content))
        for offset in (0, 100, MIB, 0, 2 * MIB - 10):
            piece = reader.read_now(offset, 65_536)
            if piece is None:
                piece = reader.read_at(offset, 65_536)
                assert reader.read_now(offset, 65_536) == piece
            assert piece
            assert content[offset : offset + 65_536].startswith(piece)
        assert reader.read_now(2 * MIB, 10) == b""
        reader.close()

    def test_a_range_is_exactly_what_was_asked_for(self, store: ContentStore) -> None:
        content = some_bytes(3 * MIB)
        key = put(store, content)
        for offset, length in ((0, 1), (0, 3 * MIB), (MIB - 1, 2), (3 * MIB - 5, 5), (7, 0), (3 * MIB, 0)):
            assert store.read(key, offset, length) == content[offset : offset + length]
        for offset, length in ((3 * MIB, 1), (3 * MIB - 5, 6), (4 * MIB, 1)):
            with pytest.raises(StoreUnavailable):
                store.read(key, offset, length)

    def test_a_range_of_what_is_not_there_is_unknown(self, store: ContentStore) -> None:
        key = put(store, b"gone")
        store.delete(key)
        for missing in (key, new_key()):
            with pytest.raises(BlobUnknown):
                store.read(missing, 0, 1)

    def test_an_unknown_key_cannot_be_opened(self, store: ContentStore) -> None:
        key = new_key()
        with pytest.raises(BlobUnknown) as caught:
            store.open(key)
        assert caught.value.key == key

    def test_a_reader_may_be_closed_twice(self, store: ContentStore) -> None:
        reader = store.open(put(store, b"x"))
        reader.close()
        reader.close()

    # -- Deleting and listing -------------------------------------------------------------------------------------

    def test_a_deleted_object_is_gone(self, store: ContentStore) -> None:
        key = put(store, b"gone")
        kept = put(store, b"kept")
        store.delete(key)
        with pytest.raises(BlobUnknown):
            store.open(key)
        assert set(listed(store)) == {kept}

    def test_deleting_what_is_not_there_is_no_error(self, store: ContentStore) -> None:
        key = put(store, b"gone")
        store.delete(key)
        store.delete(key)
        store.delete(new_key())

    def test_the_list_tells_every_object_and_its_size_and_age(self, store: ContentStore) -> None:
        sizes = {put(store, some_bytes(size)): size for size in (1, 20, 300)}
        found = listed(store)
        assert {key: one.size_bytes for key, one in found.items()} == sizes
        assert not any(one.is_partial for one in found.values())
        assert all(abs(one.modified_at - now()) < HOUR for one in found.values())

    def test_objects_may_be_deleted_while_they_are_listed(self, store: ContentStore) -> None:
        keys = {put(store, b"x") for _ in range(20)}
        seen = set()
        for found in store.list():
            store.delete(found.key)
            seen.add(found.key)
        assert seen == keys
        assert listed(store) == {}

    def test_a_partial_object_with_a_living_writer_cannot_be_removed(self, store: ContentStore) -> None:
        key = new_key()
        writer = store.begin(key)
        writer.write(b"still ")
        assert store.remove_partial(key) is False
        writer.write(b"alive")
        writer.commit()
        assert store.remove_partial(key) is False
        assert get(store, key) == b"still alive"

    def test_a_partial_object_that_is_not_there_cannot_be_removed(self, store: ContentStore) -> None:
        assert store.remove_partial(new_key()) is False

    # -- The place itself -----------------------------------------------------------------------------------------

    def test_a_working_store_passes_its_check_and_shows_no_trace_of_it(self, store: ContentStore) -> None:
        store.check()
        assert listed(store) == {}

    def test_the_room_left_is_known_or_not_told(self, store: ContentStore) -> None:
        free = store.free_bytes()
        assert free is None or free > 0
