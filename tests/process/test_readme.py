"""The README's first screen, run as a newcomer would: what goes in comes out with the same SHA-256."""

import re
import subprocess
import sys
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
    (archive.folder / ".venv").symlink_to(sys.prefix)
    archive.settings = {"PINAKES_UPLOAD_DIRECT": "false"}  # as with a folder: a bucket's forms take its own keys
    archive.start(options=["--demo"])
    assert len(blocks()) == 6
    for block in blocks():
        script = block.replace("127.0.0.1:8000", f"127.0.0.1:{archive.port}")
        done = subprocess.run(
            ["sh", "-eu", "-c", script], cwd=archive.folder, env=archive.environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        digests = re.findall(r"^[^\n]*?\b([0-9a-f]{64})(?:  -)?$", done.stdout, re.M)
        assert len(digests) >= 2, block
        assert len(set(digests)) == 1, block
        counts = re.findall(r'"count":\s*(\d+)', done.stdout)
        assert counts == (["1", "0"] if "search=" in block else [])


def test_the_commands_of_the_readme_exist() -> None:
    text = README.read_text()
    makefile = (README.parent / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z-]+)\b", text)) - {"nothing"}:
        assert f"\n{target}:" in makefile, target
