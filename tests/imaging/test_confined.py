"""Processes that are confined: what ends with them."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pinakes.imaging import confined

_SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(1000)"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the environment of a process")
def test_all_that_was_started_with_a_scratch_folder_is_killed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(tmp_path / "a")
    monkeypatch.setenv("TMPDIR", folder)  # not this process: it was started without
    with (
        subprocess.Popen(_SLEEP, start_new_session=True) as inside,
        subprocess.Popen(_SLEEP, env={**os.environ, "TMPDIR": f"{folder}b"}) as beside,
        subprocess.Popen(_SLEEP, env={**os.environ, "TMPDIR": "/", "OTHER": f"TMPDIR={folder}"}) as other,
    ):
        confined.kill_all_of(folder)
        try:
            assert not psutil.wait_procs([psutil.Process(inside.pid)], timeout=10)[1]
            assert (beside.poll(), other.poll()) == (None, None)
        finally:
            for each in (inside, beside, other):
                each.kill()
