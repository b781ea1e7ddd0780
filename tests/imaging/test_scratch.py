"""Folders of processes that were killed are removed, those of living ones stay."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pinakes.imaging.scratch import ScratchFolder, sweep

_HOLDER = """
import sys, time
from pathlib import Path
from pinakes.imaging.scratch import ScratchFolder
folder = ScratchFolder("work-", Path(sys.argv[1]))
(folder.path / "source").write_bytes(b"picture")
print(folder.path, flush=True)
time.sleep(100)
"""


def aged(path: Path) -> Path:
    os.utime(path, (0, 0))
    return path


def test_a_folder_lasts_as_long_as_its_block(tmp_path: Path) -> None:
    with ScratchFolder("work-", tmp_path) as folder:
        (folder.path / "inner").mkdir()
        assert folder.path.parent == tmp_path
        assert folder.path.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []
    folder.close()


def test_what_a_killed_process_left_is_swept_and_what_living_ones_hold_is_not(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLDER, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        left = aged(Path(holder.stdout.readline().strip()))
        with ScratchFolder("work-", tmp_path) as own:
            aged(own.path)
            sweep("work-", tmp_path)
            assert left.is_dir()
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            sweep("work-", tmp_path)
            assert list(tmp_path.iterdir()) == [own.path]


def test_before_a_folder_is_removed_whoever_sweeps_may_do_something(tmp_path: Path) -> None:
    left = tmp_path / "work-left"
    left.mkdir()
    aged(left)
    seen: list[str] = []

    def first(path: str) -> None:
        assert left.is_dir()
        seen.append(path)

    with ScratchFolder("work-", tmp_path) as own:
        aged(own.path)
        sweep("work-", tmp_path, first=first)
    assert seen == [str(left)]
    assert not left.exists()


def test_a_young_folder_may_not_be_locked_yet(tmp_path: Path) -> None:
    young = tmp_path / "work-young"
    young.mkdir()
    sweep("work-", tmp_path)
    assert young.is_dir()
    aged(young)
    sweep("work-", tmp_path)
    assert not young.exists()


@pytest.mark.parametrize("name", ["other-folder", "work"])
def test_what_is_called_otherwise_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    aged(tmp_path / name)
    sweep("work-", tmp_path)
    assert (tmp_path / name).is_dir()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "picture").touch()
    aged(kept)
    (tmp_path / "work-link").symlink_to(kept)
    sweep("work-", tmp_path)
    assert (kept / "picture").exists()


def test_a_folder_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sweep("work-", tmp_path / "nothing")
