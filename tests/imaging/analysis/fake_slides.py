"""Slides for analysis processes: painted ones, and one that ends the process that reads its tiles."""

import os
import signal
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from pinakes.imaging.source import Limits, Pixels, Rect, Size, Unreadable
from tests.imaging.analysis.making_tissue import ArraySource

OPENER: Final = f"{__name__}:open_source"
MPP: Final = 2.0


def paint(path: Path, side: int = 512) -> Path:
    """A slide whose left half is tissue, of a colour that changes from the top down, with nuclei here and there."""
    chance = np.random.default_rng(5)
    pixels = np.full((side, side, 3), 243, np.uint8)
    left = np.array([200, 120, 180]) + chance.normal(0, 6, (side, side // 2, 3))
    left -= np.linspace(0, 60, side)[:, np.newaxis, np.newaxis]
    left[chance.uniform(size=left.shape[:2]) < 0.05] = (90, 60, 140)
    pixels[:, : side // 2] = np.clip(left, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, "PNG")
    return path


def open_source(path: Path, *, limits: Limits) -> ArraySource:
    """A painted slide of 2 um per pixel; the name of its file says how it behaves when tiles are read."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    kinds = {"dies.png": Dying, "damaged.png": Damaged}
    return kinds.get(path.name, ArraySource)(pixels, (MPP, MPP), levels=1)


class Dying(ArraySource):
    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:
        if rect.height < 512:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().read_region(rect, size, frame=frame)


class Damaged(ArraySource):
    """Its lower half cannot be read."""

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:
        if rect.height < 512 and rect.y >= 256:
            raise Unreadable("The slide is cut off.")
        return super().read_region(rect, size, frame=frame)
