"""The README's first screen, run as a newcomer would: what goes in comes out with the same SHA-256."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.process.serving import Archive

README = Path(__file__).parents[2] / "README.md"

pytestmark = pytest.mark.slow


def blocks() -> list[str]:
    """The shell blocks under the headings of the first screen."""
    first_screen = README.read_text().partition("## Your own archive")[0]
    return re.findall(r"```sh\n(.*?)```", first_screen, re.S)


def test_the_lines_of_the_readme_take_real_files_in_and_out_unchanged(archive: Archive) -> None:
    archive.start(options=["--demo"])
    assert len(blocks()) == 2
    for block in blocks():
        script = block.replace("127.0.0.1:8000", f"127.0.0.1:{archive.port}")
        done = subprocess.run(["sh", "-eu", "-c", script], cwd=archive.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        came_out, went_in = re.findall(r"^[^\n]*?([0-9a-f]{64})  -$", done.stdout, re.M)
        assert came_out == went_in, block


def test_the_commands_of_the_readme_exist() -> None:
    text = README.read_text()
    makefile = (README.parent / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z]+)\b", text)) - {"nothing"}:
        assert f"\n{target}:" in makefile, target
