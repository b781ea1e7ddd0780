"""A pool whose processes open fake pictures, and the files those are made from."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pinakes.imaging.decoding.pool import DecodingPool
from pinakes.imaging.decoding.requests import Bounds
from pinakes.imaging.source import Limits
from tests.imaging.decoding.fake_pictures import OPENER

BOUNDS = Bounds(
    memory_bytes=1024**3, seconds=60, limits=Limits(output_pixels=10_000_000), warm_sources=2, opener=OPENER
)

PictureFile = Callable[..., str]
MakePool = Callable[..., DecodingPool]


@pytest.fixture
def picture(tmp_path: Path) -> PictureFile:
    """Write a fake picture that behaves so; its path."""

    def write(behaviour: str = "plain", name: str = "") -> str:
        path = tmp_path / (name or behaviour)
        if not path.exists():  # another process may be reading it
            path.write_text(behaviour)
        return str(path)

    return write


@pytest.fixture
def make_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePool]:
    """Pools that are closed when the test is over."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr("pinakes.imaging.decoding.pool._HOLD_BACK_SECONDS", 0.0)
    with ExitStack() as stack:

        def make(processes: int = 1, bounds: Bounds = BOUNDS, wait_seconds: float = 60) -> DecodingPool:
            return stack.enter_context(DecodingPool(processes, bounds, wait_seconds=wait_seconds))

        yield make
