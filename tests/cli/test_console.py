"""What people see at a terminal, and what programs read."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.cli import console
from pinakes.demo.loading import write_disk
from tests.cli.conftest import Run, without_options


@given(st.text())
def test_a_printable_text_is_one_line_without_control_characters(text: str) -> None:
    shown = console.printable(text)
    assert shown.isprintable()
    assert (shown == text) == text.isprintable()


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (269_564, "269.6 kB"), (2**31, "2.1 GB"), (10**16, "10000.0 TB")],
)
def test_a_size_is_short(count: int, shown: str) -> None:
    assert console.size(count) == shown


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_at_a_terminal_there_is_a_progress_bar_and_the_id_is_alone_on_standard_output(
    pinakes: Run, user: str, tmp_path: Path
) -> None:
    disk = tmp_path / "disk.qcow2"
    write_disk(disk)
    put = at_terminal("image", "put", str(disk), "--as", user, "--kind", "machine", shown="stderr")
    assert put[0].strip().isdigit()
    assert "disk.qcow2" in put[1]
    assert "100%" in put[1] or "kB" in put[1]


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_at_a_terminal_a_list_has_a_head(pinakes: Run, user: str) -> None:
    _, shown = at_terminal("user", "list", shown="stdout")
    head, row = shown.splitlines()
    assert head.split()[:3] == ["ID", "NAME", "E-MAIL"]
    assert row.split()[:3] == ["1", "anna", "anna@example.org"]


def at_terminal(*arguments: str, shown: str) -> tuple[str, str]:
    """Run a command with one of its outputs at a terminal; what it wrote to the other, and to the terminal."""
    ours, theirs = pty.openpty()
    piped = "stdout" if shown == "stderr" else "stderr"
    environment = dict(os.environ) | {"TERM": "xterm", "COLUMNS": "120"}
    assert without_options(environment) != environment
    process = subprocess.Popen(
        [sys.executable, "-m", "pinakes.cli", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        text=True,
        **{shown: theirs, piped: subprocess.PIPE},  # type: ignore[call-overload]
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end was closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, (stdout, stderr, written)
    return stdout or stderr or "", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
