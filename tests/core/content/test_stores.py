"""The content stores: the shared suite on each, and what only one of them promises."""

import dataclasses
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import obstore
import pytest

from pinakes.core.content.store import ContentStore, new_key
from pinakes.core.content.stores import DiskStore, MemoryStore, S3Options, S3Store, open_store
from pinakes.core.content.stores.s3 import endpoint_url, part_bytes
from pinakes.core.errors import BlobUnknown, StorageFull, StoreUnavailable
from tests import servers
from tests.core.content import abandon, fill, upload_large
from tests.suites.content_store import MIB, ContentStoreSuite, get, listed, put, some_bytes

BAD_KEYS = ["", "a", "A" * 32, "g" * 32, "a" * 33, "a" * 32 + "\n", "../../../../../../../../etc/x00", "0" * 31 + "/"]


def program(module: object, *arguments: str) -> list[str]:
    """The command that runs one of the programs beside this file."""
    path = getattr(module, "__file__", None)
    assert path is not None
    return [sys.executable, path, *arguments]


class TestMemoryStore(ContentStoreSuite):
    @pytest.fixture
    def store(self) -> ContentStore:
        return MemoryStore()

    def test_a_full_store_says_so_and_keeps_what_it_has(self) -> None:
        store = MemoryStore(capacity_bytes=100)
        key = put(store, b"x" * 60)
        writer = store.begin(new_key())
        with pytest.raises(StorageFull):
            writer.write(b"x" * 41)
        writer.abort()
        assert store.free_bytes() == 40
        assert get(store, key) == b"x" * 60

    def test_an_open_reader_outlives_the_delete(self) -> None:
        store = MemoryStore()
        key = put(store, b"read on")
        reader = store.open(key)
        store.delete(key)
        assert reader.read_at(0, 7) == b"read on"


class TestDiskStore(ContentStoreSuite):
    @pytest.fixture
    def tmp_path(self, disk_path: Path) -> Path:
        return disk_path

    @pytest.fixture
    def store(self, tmp_path: Path) -> ContentStore:
        return DiskStore(tmp_path / "content")

    def test_an_object_lies_under_the_first_two_digits_of_its_key(self, store: ContentStore, tmp_path: Path) -> None:
        key = put(store, b"where am I")
        assert (tmp_path / "content" / "objects" / key[:2] / key).read_bytes() == b"where am I"
        assert list((tmp_path / "content" / "partial").iterdir()) == []

    def test_an_unfinished_object_lies_apart_and_is_listed_as_partial(self, store: ContentStore) -> None:
        key = new_key()
        writer = store.begin(key)
        writer.write(b"abc")
        assert [(one.key, one.size_bytes, one.is_partial) for one in store.list()] == [(key, 3, True)]
        writer.abort()

    def test_nobody_else_on_the_machine_may_read_the_files(self, store: ContentStore, tmp_path: Path) -> None:
        put(store, b"private")
        modes = {
            (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
            for path in [tmp_path / "content", *(tmp_path / "content").rglob("*")]
        }
        assert modes == {(True, 0o700), (False, 0o600)}

    def test_a_store_opened_again_has_its_objects(self, store: ContentStore, tmp_path: Path) -> None:
        key = put(store, b"still here")
        assert get(DiskStore(tmp_path / "content"), key) == b"still here"

    def test_a_prefix_folder_that_was_lost_is_made_again(self, store: ContentStore, tmp_path: Path) -> None:
        key = put(store, b"x")
        store.delete(key)
        (tmp_path / "content" / "objects" / key[:2]).rmdir()
        assert listed(DiskStore(tmp_path / "content")) == {}

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_no_path_is_built_from_anything_but_a_key(self, store: ContentStore, key: str) -> None:
        for use in (store.begin, store.open, store.delete, store.remove_partial):
            with pytest.raises(ValueError, match="32 lower-case hex digits"):
                use(key)

    def test_foreign_files_are_not_taken_for_objects(self, store: ContentStore, tmp_path: Path) -> None:
        (tmp_path / "content" / "objects" / "00" / "README").write_text("x")
        (tmp_path / "content" / "partial" / "lost+found").mkdir()
        assert listed(store) == {}

    def test_a_key_in_use_is_not_begun_again(self, store: ContentStore) -> None:
        key = new_key()
        writer = store.begin(key)
        with pytest.raises(StoreUnavailable):
            store.begin(key)
        writer.abort()

    def test_an_open_reader_outlives_the_delete(self, store: ContentStore) -> None:
        key = put(store, b"read on")
        reader = store.open(key)
        store.delete(key)
        assert reader.read_at(0, 7) == b"read on"
        reader.close()

    def test_a_fresh_object_can_be_read_without_waiting(self, store: ContentStore) -> None:
        reader = store.open(put(store, b"in the page cache"))
        assert reader.read_now(7, 4) in (b"page", None)
        reader.close()

    def test_the_partial_object_of_a_killed_process_can_be_removed(self, store: ContentStore, tmp_path: Path) -> None:
        key = new_key()
        command = program(abandon, f"disk://{tmp_path / 'content'}", key)
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            assert listed(store)[key].is_partial
            assert store.remove_partial(key) is False, "its writer lives, in another process"
            process.send_signal(signal.SIGKILL)
        assert store.remove_partial(key) is True
        assert listed(store) == {}

    def test_an_upload_that_a_sweep_took_for_dead_before_it_was_locked_begins_again(
        self, store: ContentStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = new_key()
        lock = fcntl.flock
        removed: list[bool] = []

        def sweep_then_lock(descriptor: int, operation: int) -> None:
            if not removed:  # the file is made and not yet locked: the sweep comes just now
                removed.append(False)
                removed.append(store.remove_partial(key))
            lock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", sweep_then_lock)
        writer = store.begin(key)
        assert removed == [False, True]
        writer.write(b"mine")
        writer.commit()
        assert get(store, key) == b"mine"

    def test_what_the_system_takes_or_gives_in_part_is_asked_for_again(
        self, store: ContentStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = some_bytes(10_000)
        write, pread = os.write, os.pread
        monkeypatch.setattr(os, "write", lambda descriptor, piece: write(descriptor, piece[:999]))
        monkeypatch.setattr(os, "pread", lambda descriptor, length, at: pread(descriptor, min(length, 998), at))
        key = put(store, content)
        assert store.open(key).read_at(0, 10_000) == content
        assert store.open(key).read_at(1, 20_000) == content[1:]

    @pytest.mark.parametrize("way", ["tmpfs", "limit"])
    def test_a_disk_that_fills_up_midway_is_told_and_left_as_it_was(self, way: str, tmp_path: Path) -> None:
        done = subprocess.run(program(fill, way, str(tmp_path)), capture_output=True, check=False)
        if done.returncode == fill.NOT_ALLOWED:  # no mounts here: the other way of filling up still shows it
            done = subprocess.run(program(fill, "limit", str(tmp_path)), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        report = json.loads(done.stdout)
        assert report["raised"] == "StorageFull"
        assert report["left"] == [[1000, False]]
        assert report["is_room_back"] or way == "limit", "others may write to the same disk meanwhile"

    def test_a_folder_that_is_gone_is_told_as_such(self, store: ContentStore, tmp_path: Path) -> None:
        (tmp_path / "content").rename(tmp_path / "elsewhere")
        with pytest.raises(StoreUnavailable):
            store.check()
        with pytest.raises(StoreUnavailable):
            store.begin(new_key())
        with pytest.raises(StoreUnavailable):
            store.free_bytes()
        with pytest.raises(StoreUnavailable):
            list(store.list())

    def test_a_commit_that_fails_after_the_rename_can_still_be_aborted(
        self, store: ContentStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer = store.begin(new_key())
        writer.write(b"x")
        syncs: list[int] = []

        def sync(descriptor: int) -> None:
            syncs.append(descriptor)
            if len(syncs) > 1:  # the file itself is well, its folder is not
                raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fsync", sync)
        with pytest.raises(StoreUnavailable):
            writer.commit()
        writer.abort()
        assert listed(store) == {}

    def test_a_place_that_cannot_be_a_folder_is_told_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(StoreUnavailable):
            DiskStore(tmp_path / "file" / "content")


class TestS3Store(ContentStoreSuite):
    @pytest.fixture
    def store(self, s3_url: str, s3_options: S3Options) -> ContentStore:
        return open_store(s3_url, s3=s3_options)

    @pytest.fixture
    def deaf(self, s3_url: str, s3_options: S3Options) -> ContentStore:
        """A store whose server is not there."""
        endpoint = f"http://127.0.0.1:{servers.free_ports(1)[0]}"
        return open_store(s3_url, s3=dataclasses.replace(s3_options, endpoint=endpoint))

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_no_object_is_named_by_anything_but_a_key(self, store: ContentStore, key: str) -> None:
        for use in (store.begin, store.open, store.delete):
            with pytest.raises(ValueError, match="32 lower-case hex digits"):
                use(key)

    def test_an_aborted_upload_leaves_no_parts_behind(self, store: ContentStore, s3_server: servers.S3Server) -> None:
        key = new_key()
        writer = store.begin(key, expected_bytes=30 * MIB)
        for number in range(20):
            writer.write(some_bytes(MIB, number))
        assert [name for name in s3_server.unfinished_uploads() if name.endswith(key)], "it is a multipart upload"
        writer.abort()
        assert not [name for name in s3_server.unfinished_uploads() if name.endswith(key)]

    def test_an_object_is_never_overwritten(self, store: ContentStore) -> None:
        key = put(store, b"first")
        writer = store.begin(key)
        writer.write(b"second")
        with pytest.raises(StoreUnavailable):
            writer.commit()
        writer.abort()
        assert get(store, key) == b"first"

    def test_uploads_whose_clients_stall_do_not_hold_up_another(self, store: ContentStore) -> None:
        stalled = [store.begin(new_key(), expected_bytes=30 * MIB) for _ in range(4)]
        for writer in stalled:
            writer.write(some_bytes(9 * MIB))
        content = some_bytes(9 * MIB, 1)
        assert get(store, put(store, content, expected_bytes=len(content))) == content
        for writer in stalled:
            writer.abort()
        assert len(listed(store)) == 1

    def test_reading_on_and_on_costs_few_requests(self, store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
        content = some_bytes(20 * MIB)
        key = put(store, content)
        requests = self.counted(monkeypatch)
        assert get(store, key, 256 * 1024) == content
        assert len(requests) <= 5
        assert max(requests) <= 8 * MIB

    def test_reading_here_and_there_fetches_little_more_than_was_asked_for(
        self, store: ContentStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reader = store.open(put(store, some_bytes(20 * MIB)))
        requests = self.counted(monkeypatch)
        for offset in (12 * MIB, 3 * MIB, 17 * MIB, 8 * MIB):
            reader.read_at(offset, 1000)
        assert requests == [MIB] * 4

    @staticmethod
    def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The sizes of the ranges requested from here on."""
        sizes: list[int] = []
        fetch = obstore.get_range

        def counting(store: obstore.store.S3Store, path: str, *, start: int, length: int) -> obstore.Bytes:
            sizes.append(length)
            return fetch(store, path, start=start, length=length)

        monkeypatch.setattr(obstore, "get_range", counting)
        return sizes

    def test_an_object_deleted_while_it_is_read_is_told_as_unavailable(self, store: ContentStore) -> None:
        key = put(store, some_bytes(4 * MIB))
        reader = store.open(key)
        reader.read_at(0, 1)
        store.delete(key)
        with pytest.raises(StoreUnavailable):
            reader.read_at(3 * MIB, 10)

    def test_a_server_that_is_not_there_is_told_as_unavailable(self, deaf: ContentStore) -> None:
        with pytest.raises(StoreUnavailable):
            deaf.check()
        with pytest.raises(StoreUnavailable):
            deaf.open(new_key())

    def test_an_upload_to_a_server_that_is_not_there_fails_and_does_not_hang(self, deaf: ContentStore) -> None:
        writer = deaf.begin(new_key(), expected_bytes=100 * MIB)

        def upload() -> None:
            for _ in range(100):
                writer.write(bytes(MIB))
            writer.commit()

        with pytest.raises(StoreUnavailable):
            upload()
        writer.abort()

    def test_wrong_keys_and_a_missing_bucket_fail_the_check(self, s3_url: str, s3_options: S3Options) -> None:
        with pytest.raises(StoreUnavailable):
            open_store(s3_url, s3=dataclasses.replace(s3_options, secret_key="wrong")).check()
        with pytest.raises(StoreUnavailable):
            open_store("s3://no-such-bucket/here", s3=s3_options).check()

    def test_stores_under_two_prefixes_do_not_see_each_other(self, store: ContentStore, s3_options: S3Options) -> None:
        key = put(store, b"mine")
        other = open_store(f"s3://{servers.BUCKET}/{new_key()}", s3=s3_options)
        assert listed(other) == {}
        with pytest.raises(BlobUnknown):
            other.open(key)

    def test_the_bucket_may_be_named_in_the_host_or_in_the_path(self) -> None:
        server = "https://s3.example.org:9000"
        assert endpoint_url("pinakes", server, virtual_hosted=True) == "https://pinakes.s3.example.org:9000"
        assert endpoint_url("pinakes", server + "/", virtual_hosted=False) == server

    @pytest.mark.slow
    def test_memory_does_not_grow_with_the_upload(self, s3_url: str, s3_options: S3Options) -> None:
        options = json.dumps(dataclasses.asdict(s3_options)).encode()
        done = subprocess.run(program(upload_large, s3_url), input=options, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        report = json.loads(done.stdout)
        assert report["size_bytes"] == 300_000_000
        assert report["grown_bytes"] < 100_000_000

    @pytest.mark.parametrize("gigabytes", [0, 1, 20, 72, 500, 5_000])
    def test_ten_thousand_parts_are_enough(self, gigabytes: int) -> None:
        assert part_bytes(gigabytes * 10**9) * 10_000 > gigabytes * 10**9
        assert part_bytes(gigabytes * 10**9) >= 5 * MIB, "S3 takes no smaller part but the last"
        assert part_bytes(None) * 10_000 > 150 * 10**9


class TestOpenStore:
    def test_a_path_or_a_disk_url_opens_a_disk_store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for url in (str(tmp_path / "one"), f"disk://{tmp_path / 'two'}", "three", "./four"):
            assert isinstance(open_store(url), DiskStore)
        assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "three", "four"}

    def test_the_other_stores_are_opened_by_their_scheme(self, s3_options: S3Options) -> None:
        assert isinstance(open_store("memory:"), MemoryStore)
        assert isinstance(open_store("s3://bucket", s3=s3_options), S3Store)
        assert isinstance(open_store("s3://bucket/a/b/", s3=s3_options), S3Store)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "ftp://server/x",
            "disk:relative",
            "disk://relative",
            "memory:x",
            "s3:bucket",
            "s3://",
            "s3://B",
            "s3://bucket/a//b",
            "s3://bucket/../b",
            "s3://bucket/a b",
        ],
    )
    def test_a_url_that_names_no_store_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"store|bucket|prefix"):
            open_store(url)

    @pytest.mark.parametrize("endpoint", ["s3.example.org", "ftp://s3.example.org", "https://host/bucket", "https://"])
    def test_an_endpoint_that_is_none_is_refused(self, endpoint: str) -> None:
        with pytest.raises(ValueError, match="endpoint"):
            open_store("s3://bucket", s3=S3Options(endpoint))

    def test_one_key_of_two_is_refused(self) -> None:
        with pytest.raises(ValueError, match="go together"):
            open_store("s3://bucket", s3=S3Options(access_key="only"))

    def test_the_options_do_not_show_their_secret(self) -> None:
        assert "hush" not in repr(S3Options("https://s3.example.org", "eu-1", "key", "hush"))
