"""Decoding processes: what they answer, and that whatever happens in one stays there."""

import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from PIL import Image

from pinakes.imaging.decoding import wire
from pinakes.imaging.decoding.pool import DecodingPool
from pinakes.imaging.decoding.requests import (
    Associated,
    DecodingBusy,
    DecodingFailed,
    Describe,
    Encoded,
    Exhausted,
    NoSuchPart,
    PictureRequest,
    Region,
)
from pinakes.imaging.source import LimitExceeded, Rect, Size, Unreadable
from tests.imaging.decoding.conftest import BOUNDS, MakePool, PictureFile
from tests.imaging.decoding.fake_pictures import LEVELS, SECRET, TILE, WHOLE
from tests.imaging.parts import tile


def region(path: str, key: str = "", **more: Any) -> Region:
    return Region(**{"path": path, "key": key, "rect": Rect(10, 10, 100, 80), "size": Size(50, 40), **more})


def facts_of(pool: DecodingPool, path: str, key: str = "") -> dict[str, Any]:
    return dict(pool.run(Describe(path=path, key=key)).facts)


def opened(encoded: Encoded) -> Image.Image:
    return Image.open(io.BytesIO(encoded.content))


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def test_a_picture_is_described_and_shown(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool()
    described = pool.run(Describe(path=picture()))
    assert (described.format, described.size, described.levels) == ("fake", WHOLE, LEVELS)
    assert (described.associated, described.frames) == (("label",), 2)
    shown = opened(pool.run(region(picture(), format="png", frame=1, rotation=90.0)))
    assert (shown.format, shown.size, shown.getpixel((5, 5))) == ("PNG", (40, 50), (0, 255, 0))
    gray = opened(pool.run(region(picture(), quality="gray")))
    assert (gray.format, gray.size, gray.mode) == ("JPEG", (50, 40), "L")
    assert opened(pool.run(Associated(path=picture(), name="label", format="webp"))).size == (30, 20)


def test_a_stored_tile_is_spliced(make_pool: MakePool, picture: PictureFile) -> None:
    pool, path = make_pool(), picture()
    wanted: list[tuple[PictureRequest, bytes]] = [
        (region(path, rect=Rect(256, 256, 256, 256), size=TILE), b"[0, 1, 1]"),
        (region(path, rect=Rect(256, 0, 256, 256), size=TILE), b"[0, 1, 0]"),
        (region(path, rect=Rect(0, 0, 512, 512), size=TILE, rotation=360.0), b"[1, 0, 0]"),
    ]
    for request, stored in wanted:
        assert pool.run(request) == Encoded(stored, spliced=True)


def test_what_is_not_just_a_stored_tile_is_decoded(make_pool: MakePool, picture: PictureFile) -> None:
    pool, path, rect = make_pool(), picture(), Rect(256, 0, 256, 256)
    for wanted, size in (
        (region(path, rect=rect, size=TILE, format="png"), (256, 256)),
        (region(path, rect=rect, size=TILE, encode_quality=50), (256, 256)),
        (region(path, rect=rect, size=TILE, mirrored=True), (256, 256)),
        (region(path, rect=rect, size=TILE, rotation=180.0), (256, 256)),
        (region(path, rect=rect, size=TILE, quality="gray"), (256, 256)),
        (region(path, rect=rect, size=TILE, frame=1), (256, 256)),
        (region(path, rect=rect, size=Size(255, 256)), (255, 256)),
        (region(path, rect=Rect(255, 0, 256, 256), size=TILE), (256, 256)),
        (region(path, **tile(LEVELS, 0, 3, 2)), (232, 188)),
        (region(path, **tile(LEVELS, 0, 0, 0, 512)), (512, 512)),
        (region(path, **tile(LEVELS, 2, 0, 0, 256)), (125, 87)),
    ):
        encoded = pool.run(wanted)
        assert (encoded.spliced, opened(encoded).size) == (False, size), wanted


def test_what_the_picture_has_not_is_told_and_the_process_stays(make_pool: MakePool, picture: PictureFile) -> None:
    pool, path = make_pool(), picture()
    before = facts_of(pool, path, "k")
    wanted: list[PictureRequest] = [
        region(path, rect=Rect(950, 0, 100, 100)),
        region(path, rect=Rect(-1, 0, 100, 100)),
        region(path, rect=Rect(0, 0, 0, 100)),
        region(path, rect=Rect(10**30, 0, 100, 100)),
        region(path, size=Size(0, 10)),
        region(path, frame=2),
        region(path, frame=-1),
        Associated(path=path, name="macro"),
        Associated(path=path, name="\ud800"),
    ]
    for request in wanted:
        with pytest.raises(NoSuchPart):
            pool.run(request)
    assert facts_of(pool, path, "k")["pid"] == before["pid"]


def test_too_many_pixels_are_refused(make_pool: MakePool, picture: PictureFile) -> None:
    with pytest.raises(LimitExceeded):
        make_pool().run(region(picture(), size=Size(10_001, 1000)))


def test_a_picture_is_opened_once_for_its_key(make_pool: MakePool, picture: PictureFile) -> None:
    pool, path = make_pool(), picture()
    assert [facts_of(pool, path, "one")["opened"] for _ in range(3)] == [1, 1, 1]
    assert [facts_of(pool, path)["opened"] for _ in range(2)] == [2, 3]
    assert facts_of(pool, picture(name="moved"), "one")["opened"] == 4
    assert [facts_of(pool, path, key)["opened"] for key in ("two", "three", "two", "one")] == [5, 6, 5, 7]


def test_pictures_nobody_asks_for_are_closed(make_pool: MakePool, picture: PictureFile) -> None:
    pool, path = make_pool(bounds=msgspec.structs.replace(BOUNDS, idle_seconds=0.02)), picture("files")
    before = facts_of(pool, path, "k")
    files = psutil.Process(before["pid"])
    wait_until(lambda: path not in {file.path for file in files.open_files()})
    assert facts_of(pool, path, "k")["opened"] == before["opened"] + 1


def test_the_memory_others_hold_is_given_up_for_who_needs_it(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool()
    for key in ("one", "two"):
        assert opened(pool.run(region(picture("holds 200 MiB"), key))).size == (50, 40)
    before = facts_of(pool, picture())["pid"]
    assert opened(pool.run(region(picture("takes 550 MiB")))).size == (50, 40)
    assert facts_of(pool, picture())["pid"] == before


def test_a_picture_stays_warm_when_it_is_asked_for_what_it_has_not(make_pool: MakePool, picture: PictureFile) -> None:
    pool, path = make_pool(), picture()
    before = facts_of(pool, path, "k")["opened"]
    with pytest.raises(NoSuchPart):
        pool.run(region(path, "k", frame=7))
    assert facts_of(pool, path, "k")["opened"] == before


def test_a_picture_goes_to_the_process_that_has_it_open(
    make_pool: MakePool, picture: PictureFile, tmp_path: Path
) -> None:
    pool, before = make_pool(2), children()
    paths = {key: picture("waits", key) for key in "ab"}
    with ThreadPoolExecutor(2) as threads:
        asked = {key: threads.submit(facts_of, pool, path, key) for key, path in paths.items()}
        wait_until(lambda: len(children() - before) == 2)
        (tmp_path / "go").touch()
        home = {key: each.result()["pid"] for key, each in asked.items()}
    assert home["a"] != home["b"]
    for key in "abbaabab":
        assert facts_of(pool, paths[key], key)["pid"] == home[key]


def test_a_crash_costs_that_request_alone(
    make_pool: MakePool, picture: PictureFile, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(2)
    with ThreadPoolExecutor(4) as threads:
        dying = [threads.submit(pool.run, region(picture("dies"))) for _ in range(4)]
        living = [threads.submit(pool.run, region(picture("plain"), "k")) for _ in range(40)]
        assert all(isinstance(each.exception(), DecodingFailed) for each in dying)
        assert all(opened(each.result()).size == (50, 40) for each in living)
    assert f"status -{int(signal.SIGSEGV)}" in caplog.text


@pytest.mark.parametrize("behaviour", ["sleeps", "holds"])
def test_a_hang_ends_when_its_time_is_over(make_pool: MakePool, picture: PictureFile, behaviour: str) -> None:
    pool = make_pool(bounds=msgspec.structs.replace(BOUNDS, seconds=0.5))
    before = facts_of(pool, picture())["pid"]
    began = time.monotonic()
    with pytest.raises(Exhausted):
        pool.run(region(picture(behaviour)))
    assert 0.4 < time.monotonic() - began < 10
    assert not psutil.pid_exists(before)
    assert facts_of(pool, picture())["pid"] != before


def test_a_bomb_is_refused_and_its_process_lives_on(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool()
    before = facts_of(pool, picture("plain"), "k")["pid"]
    with pytest.raises(Exhausted):
        pool.run(region(picture("allocates")))
    assert facts_of(pool, picture("plain"), "k")["pid"] == before


def test_a_process_that_has_grown_answers_and_is_replaced(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool()
    first = facts_of(pool, picture("plain"))["pid"]
    assert opened(pool.run(region(picture("grows")))).size == (50, 40)
    assert facts_of(pool, picture("plain"))["pid"] == first  # 300 MiB are less than half
    assert opened(pool.run(region(picture("grows")))).size == (50, 40)
    assert not psutil.pid_exists(first)
    assert facts_of(pool, picture("plain"))["pid"] != first


@pytest.mark.parametrize("behaviour", ["raises", "bad to open", "numbers too large", "refuses"])
def test_an_unreadable_picture_says_so_and_quotes_nothing(
    make_pool: MakePool, picture: PictureFile, caplog: pytest.LogCaptureFixture, behaviour: str
) -> None:
    caplog.set_level(logging.DEBUG)
    pool, wanted = make_pool(), picture(behaviour)
    with pytest.raises(Unreadable) as raised:
        if behaviour == "numbers too large":
            pool.run(Describe(path=wanted))
        else:
            pool.run(region(wanted))
    assert SECRET not in str(raised.value) + caplog.text
    assert str(Path(wanted).parent) not in str(raised.value) + caplog.text
    if behaviour == "raises":
        assert "ValueError < fake_pictures.py:" in caplog.text


def test_a_file_that_is_not_there_is_no_fault_of_the_picture(make_pool: MakePool, tmp_path: Path) -> None:
    with pytest.raises(DecodingFailed):
        make_pool().run(Describe(path=str(tmp_path / "gone")))


def test_an_answer_that_is_none_ends_the_process(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool()
    with pytest.raises(DecodingFailed):
        pool.run(region(picture("babbles")))
    assert opened(pool.run(region(picture("plain")))).size == (50, 40)


def test_a_picture_that_ends_its_readers_is_refused_at_once_until_it_is_forgotten(
    make_pool: MakePool, picture: PictureFile
) -> None:
    pool = make_pool()
    with ThreadPoolExecutor(8) as callers:
        asked = [callers.submit(pool.run, region(picture("dies"), "bad")) for _ in range(32)]
        texts = [str(each.exception()) for each in asked]
    assert sum("tried again" in text for text in texts) == 30
    pid = facts_of(pool, picture(), "good")["pid"]
    with pytest.raises(DecodingFailed, match="tried again"):
        pool.run(region(picture("dies"), "bad"))
    assert facts_of(pool, picture(), "good")["pid"] == pid


def test_processes_are_started_ahead_only_when_asked(make_pool: MakePool, picture: PictureFile) -> None:
    before, pool = children(), make_pool(2)
    assert children() == before
    pool.start()
    pool.start()
    wait_until(lambda: len(children() - before) == 2)
    assert facts_of(pool, picture())["pid"] in children() - before


def test_a_process_started_ahead_has_its_libraries_loaded(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool()
    assert "openslide" not in facts_of(pool, picture("tells"))["modules"]
    pool.close()
    pool = make_pool()
    pool.start()
    wait_until(lambda: pool._places[0].process is not None)
    assert {"openslide", "pyvips", "pydicom", "numpy"} <= set(facts_of(pool, picture("tells"))["modules"])


@pytest.mark.parametrize("is_idle", [True, False])
def test_a_process_that_ends_is_replaced_ahead(
    make_pool: MakePool, picture: PictureFile, monkeypatch: pytest.MonkeyPatch, is_idle: bool
) -> None:
    monkeypatch.setattr("pinakes.imaging.decoding.pool._LOOK_SECONDS", 0.05 if is_idle else 100)
    before, pool = children(), make_pool()
    pool.start()
    wait_until(lambda: len(children() - before) == 1)
    first = children()
    if is_idle:
        os.kill(min(first - before), signal.SIGKILL)
    else:
        with pytest.raises(DecodingFailed):
            pool.run(region(picture("dies")))
    wait_until(lambda: bool(children() - first))


def test_a_pool_that_cannot_start_ahead_tries_again_in_peace(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = list[int]()

    def fail(*_: object, **__: object) -> None:
        tries.append(1)
        raise OSError

    monkeypatch.setattr("pinakes.imaging.decoding.process.DecodingProcess.start", fail)
    pool = make_pool(2)
    pool.start()
    wait_until(lambda: len(tries) >= 1)
    pool.close()
    assert len(tries) == 1


def test_a_process_that_died_while_idle_is_replaced_unseen(make_pool: MakePool, picture: PictureFile) -> None:
    pool, path = make_pool(), picture()
    before = facts_of(pool, path, "k")["pid"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: psutil.Process(before).status() == psutil.STATUS_ZOMBIE)
    assert facts_of(pool, path, "k")["pid"] != before


def test_a_process_inherits_no_secret_and_writes_no_file(
    make_pool: MakePool, picture: PictureFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PINAKES_SECRET", "invented")
    with (tmp_path / "held").open("wb") as held:
        os.set_inheritable(held.fileno(), True)
        pool = make_pool()
        told = facts_of(pool, picture("tells"))
    assert not [name for name in told["environment"] if "PINAKES" in name]
    assert told["files"] <= 6  # its three, the socket, the picture or the folder
    assert told["limits_set"] == {"RLIMIT_AS": BOUNDS.memory_bytes, "RLIMIT_FSIZE": 0}
    assert told["limits"] == BOUNDS.limits.output_pixels
    with pytest.raises(Unreadable):
        pool.run(region(picture("writes")))


def test_what_a_killed_process_leaves_in_its_folder_is_removed(
    make_pool: MakePool, picture: PictureFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with pytest.raises(DecodingFailed):
        make_pool().run(region(picture("litters")))
    assert list(folder.iterdir()) == []


def test_a_process_outlives_the_thread_that_first_asked(make_pool: MakePool, picture: PictureFile) -> None:
    pool, path, told = make_pool(), picture(), list[int]()
    for _ in range(3):
        thread = threading.Thread(target=lambda: told.append(facts_of(pool, path, "k")["pid"]))
        thread.start()
        thread.join()
    assert len(set(told)) == 1


def test_nothing_is_left_open_or_running(make_pool: MakePool, picture: PictureFile) -> None:
    facts_of(make_pool(), picture())  # what a first use opens for good
    files, processes = len(os.listdir("/proc/self/fd")), children()
    threads = threading.active_count()
    pool = make_pool(2)
    for behaviour in ("plain", "dies", "plain", "dies", "raises"):
        with ThreadPoolExecutor(2) as callers:
            for asked in [callers.submit(pool.run, region(picture(behaviour))) for _ in range(2)]:
                asked.exception()
        assert len(children() - processes) <= 2
    pool.close()
    assert (len(os.listdir("/proc/self/fd")), children(), threading.active_count()) == (files, processes, threads)


def test_closing_ends_those_who_wait_and_those_who_are_served(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool()
    pid = facts_of(pool, picture())["pid"]
    with ThreadPoolExecutor(3) as callers:
        asked = [callers.submit(pool.run, region(picture("sleeps"))) for _ in range(3)]
        wait_until(lambda: pool._turns.waiting == 2)
        pool.close()
        assert all(isinstance(each.exception(10), DecodingFailed) for each in asked)
    assert not psutil.pid_exists(pid)
    with pytest.raises(DecodingFailed):
        pool.run(Describe(path=picture()))
    pool.close()


def test_who_waits_too_long_is_told_that_it_is_busy(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool(wait_seconds=0.05)
    facts_of(pool, picture())
    with ThreadPoolExecutor(1) as callers:
        sleeping = callers.submit(pool.run, region(picture("sleeps")))
        wait_until(lambda: not pool._turns._idle)
        with pytest.raises(DecodingBusy):
            pool.run(Describe(path=picture()))
        pool.close()
        assert isinstance(sleeping.exception(), DecodingFailed)


def test_a_program_that_does_not_start_is_told(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool(bounds=msgspec.structs.replace(BOUNDS, opener="no.such:opener"))
    with pytest.raises(DecodingFailed):
        pool.run(Describe(path=picture()))


@pytest.mark.slow
def test_a_process_whose_parent_does_not_act_ends_itself(make_pool: MakePool, picture: PictureFile) -> None:
    pool = make_pool(bounds=msgspec.structs.replace(BOUNDS, seconds=0.1))
    pid = facts_of(pool, picture())["pid"]
    process = pool._places[0].process
    assert process is not None
    wire.send(process._connection, msgspec.msgpack.encode(region(picture("holds"))))
    wait_until(lambda: not process.is_alive)
    assert not psutil.pid_exists(pid)
    assert process.stop() == -signal.SIGALRM


_PARENT = """
import sys, threading
from pinakes.imaging.decoding import wire
from pinakes.imaging.decoding.pool import DecodingPool
from pinakes.imaging.decoding.requests import Bounds, Describe, Region
from pinakes.imaging.source import Rect, Size
opener, plain, hanging = sys.argv[1:]
pool = DecodingPool(1, Bounds(memory_bytes=1024**3, seconds=60, opener=opener))
print(pool.run(Describe(path=plain)).facts["pid"], flush=True)
if hanging:
    pool.run(Region(path=hanging, rect=Rect(0, 0, 1, 1), size=Size(1, 1)))
sys.stdin.read()
"""


@pytest.mark.parametrize("behaviour", ["plain", "holds"])
def test_processes_die_with_their_parent(picture: PictureFile, behaviour: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    hanging = "" if behaviour == "plain" else picture(behaviour)
    command = [sys.executable, "-c", _PARENT, f"{__package__}.fake_pictures:open_source", picture(), hanging]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        decoding = psutil.Process(int(parent.stdout.readline()))
        if hanging:
            wait_until(lambda: decoding.cpu_times().user > 0 and decoding.status() == psutil.STATUS_RUNNING)
        parent.kill()
        parent.wait()
    assert not psutil.wait_procs([decoding], timeout=10)[1]
