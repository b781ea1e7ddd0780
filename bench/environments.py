"""Virtual environments with what Pinakes is measured beside, installed from PyPI."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Missing(Exception):
    """It could not be installed; the text says why."""


def made(folder: Path, wanted: Sequence[str], *, without_dependencies: Sequence[str] = ()) -> Path:
    """The Python of a new environment. Nothing is built: only wheels are taken. Raises Missing.

    wanted: what to install, as pip knows it.   without_dependencies: this too, but not what it says it needs.
    """
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    commands = [[sys.executable, "-m", "venv", str(folder)], [*pip, *wanted]]
    if without_dependencies:
        commands.append([*pip, "--no-deps", *without_dependencies])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            raise Missing(f"it could not be installed from PyPI: {last[-120:]}")
    return python
