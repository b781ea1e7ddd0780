"""Pictures that misbehave on purpose, opened inside decoding processes: the text of the file says how."""

import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from pinakes.imaging.bytesources import DistantFile
from pinakes.imaging.decoding.requests import Needed
from pinakes.imaging.source import Description, Level, Limits, Pixels, Rect, Size, StoredTile, Unreadable

OPENER: Final = f"{__name__}:open_source"
WHOLE: Final = Size(1000, 700)
TILE: Final = Size(256, 256)
LEVELS: Final = (Level(WHOLE, 1.0, TILE), Level(Size(500, 350), 2.0, TILE), Level(Size(125, 87), 8.0))
SECRET: Final = "DOE^JANE"

GREEDY_OPENER: Final = f"{__name__}:open_greedy"
GREED: Final = {
    "before it": (-5, 10),
    "beyond it": (1024**3, 10),
    "nothing": (10, 0),
    "less than nothing": (10, -5),
    "much at once": (0, 16 * 1024**2 + 1),
    "often": (0, 1),
    "all of it": (0, 16 * 1024**2),
}
"""Ranges that a process asks for over and over: the size of the file is 1 GiB and as many bytes as their number."""

_opened = 0
_kept: list[Any] = []


def open_source(path: Path, *, limits: Limits) -> "FakePicture":
    """A picture that is red in its frame 0, and green in its frame 1."""
    global _opened  # noqa: PLW0603 - to count is what it is for
    _opened += 1
    behaviour = path.read_text()
    while behaviour == "waits" and not path.with_name("go").exists():
        time.sleep(0.005)
    made = FakePicture(behaviour, limits)
    if behaviour == "files":
        made.held.append(path.open())
    return made


def open_greedy(file: DistantFile, levels: Sequence[Level], *, only_plain: bool, limits: Limits) -> "FakePicture":
    """A picture in a file of one byte; any other asks past all that would stop it on this side."""
    number = file.size_bytes - 1024**3
    while number >= 0:
        file._fetch.__self__._ask(Needed(*list(GREED.values())[number]))  # type: ignore[attr-defined]
    return FakePicture("plain", limits)


class FakePicture:
    """Misbehaves when pixels are read; `tells` describes the process it is open in."""

    def __init__(self, behaviour: str, limits: Limits) -> None:
        self._act = _BEHAVIOURS[behaviour]
        self.held: list[Any] = []
        self._holds = behaviour == "holds 200 MiB"
        if behaviour == "bad to open":
            self._act()
        facts = {"pid": os.getpid(), "opened": _opened, "limits": limits.output_pixels, **_told(behaviour)}
        self.description = Description("fake", WHOLE, LEVELS, frames=2, associated=("label",), facts=facts)

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:  # noqa: ARG002 - all places look alike
        self._act()
        if self._holds:
            self.held.append(np.ones(200 * 1024**2, np.uint8))
        pixels = np.zeros((size.height, size.width, 3), np.uint8)
        pixels[:, :, frame] = 255
        return pixels

    def read_associated(self, name: str) -> Pixels:  # noqa: ARG002 - there is one
        return np.full((20, 30, 3), 255, np.uint8)

    def stored_tile(self, level: int, column: int, row: int) -> StoredTile | None:
        return StoredTile(json.dumps([level, column, row]).encode(), TILE)

    def close(self) -> None:
        for each in self.held:
            if isinstance(each, TextIOWrapper):
                each.close()
        self.held.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def _told(behaviour: str) -> dict[str, Any]:
    if behaviour == "numbers too large":
        return {"number": 2**70}
    if behaviour != "tells":
        return {}
    limits = {name: resource.getrlimit(getattr(resource, name))[0] for name in ("RLIMIT_AS", "RLIMIT_FSIZE")}
    return {
        "environment": dict(os.environ),
        "files": len(os.listdir("/proc/self/fd")),
        "limits_set": limits,
        "modules": list(sys.modules),
    }


def _sleep() -> None:
    time.sleep(1000)


def _hold() -> None:
    """Holds the interpreter's lock: no other thread of this process gets anywhere."""
    re.match("(a+)+$", "a" * 60 + "b")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _allocate() -> None:
    np.ones(64 * 1024**3, np.uint8)


def _take() -> None:
    np.ones(550 * 1024**2, np.uint8)


def _grow() -> None:
    _kept.append(np.ones(300 * 1024**2, np.uint8))


def _raise() -> None:
    raise ValueError(SECRET)


def _refuse() -> None:
    raise Unreadable("The picture is cut off.")


def _babble() -> None:
    for name in os.listdir("/proc/self/fd"):
        if os.path.realpath(f"/proc/self/fd/{name}").rpartition("/")[2].startswith("socket:"):
            os.write(int(name), b"\0\0\0\4what")


def _litter() -> None:
    tempfile.mkdtemp()
    _die()


def _write() -> None:
    Path("/tmp/written-by-a-picture").write_text("never")


def _nothing() -> None: ...


_BEHAVIOURS: Final[dict[str, Callable[[], None]]] = {
    "plain": _nothing,
    "tells": _nothing,
    "files": _nothing,
    "holds 200 MiB": _nothing,
    "takes 550 MiB": _take,
    "waits": _nothing,
    "numbers too large": _nothing,
    "sleeps": _sleep,
    "holds": _hold,
    "dies": _die,
    "allocates": _allocate,
    "grows": _grow,
    "raises": _raise,
    "bad to open": _raise,
    "refuses": _refuse,
    "babbles": _babble,
    "writes": _write,
    "litters": _litter,
}
