"""The picture of docs/predictions.md: `python -m bench.illustration FILE.png` computes and draws it.

tissue and High cellularity, as outlines, on a slide that is made up │ its heat map │ nuclei counted in a real picture
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

from bench import specimens
from pinakes.imaging import geometry
from pinakes.imaging.analysis import heat, tiling, tissue
from pinakes.imaging.analysis.cellularity import Cellularity, count_nuclei
from pinakes.imaging.analysis.outlines import Outline, Ring
from pinakes.imaging.analysis.requests import TILE
from pinakes.imaging.opening import open_source
from pinakes.imaging.source import ImageSource, Rect

_SLIDE: Final = (12_288, 12_288)
_SIDE: Final = 384
_GAP: Final = 8
_TISSUE: Final = (0, 150, 0)
_MARK: Final = (255, 230, 0)
_REAL_MPP: Final = 0.5
"""Taken for granted: the picture says nothing of its scale."""

_REAL_PART: Final = (slice(256, 512), slice(128, 384))
_COLOURS: Final = 80
_OPACITY: Final = 215


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder) / "slide.tif"
        specimens.make_slide(slide, *_SLIDE)
        with open_source(slide) as source:
            panels = [*_outlined_and_heat(source), _counted()]
    whole = Image.new("RGB", (len(panels) * (_SIDE + _GAP) - _GAP, _SIDE), "white")
    for place, panel in enumerate(panels):
        whole.paste(panel, (place * (_SIDE + _GAP), 0))
    whole.quantize(_COLOURS, dither=Image.Dither.NONE).save(sys.argv[1], optimize=True)


def _outlined_and_heat(source: ImageSource) -> tuple[Image.Image, Image.Image]:
    found, model = tissue.find(source), Cellularity()
    tiles = tiling.tiles_of(found, tiling.TilingOptions())
    read = (tiling.read(source, tile, model.input_px) for tile in tiles)
    scores = np.concatenate([model.score(pixels[np.newaxis], model.mpp) for pixels in read])
    whole = Rect(0, 0, found.size.width, found.size.height)
    shown = geometry.fit(found.size, _SIDE)
    plain = Image.fromarray(source.read_region(whole, shown))
    outlined = plain.copy()
    scale = shown.width / found.size.width
    _draw(outlined, found.outlines, scale, _TISSUE)
    for each in model.findings(tiles, scores, found).classes:
        _draw(outlined, each.outlines, scale, each.colour)
    packed = b"".join(TILE.pack(t.x, t.y, t.width, t.height, t.tissue_fraction) for t in tiles)
    made = heat.heat_of(
        heat.layout_of(packed),
        [(0, scores.astype("<f4").tobytes())],
        columns=len(model.columns),
        column=model.heat_column,
        range=model.heat_range,
    )
    steps = heat.steps_of(made, whole, shown)
    colours = Image.fromarray(np.array(heat.palette(), np.uint8)[steps])
    laid_over = plain.copy()
    laid_over.paste(colours, mask=Image.fromarray(np.where(steps == heat.NOTHING, 0, _OPACITY).astype(np.uint8)))
    return outlined, laid_over


def _counted() -> Image.Image:
    """A part of skimage's immunohistochemistry picture, in which the nuclei that are counted have a mark."""
    pixels = data.immunohistochemistry()
    rows, columns = _REAL_PART
    part = Image.fromarray(pixels[rows, columns]).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    scale = _SIDE / (rows.stop - rows.start)
    drawing = ImageDraw.Draw(part)
    nuclei = count_nuclei(pixels, _REAL_MPP)
    for y, x in zip((nuclei.ys - rows.start) * scale, (nuclei.xs - columns.start) * scale, strict=True):
        drawing.ellipse((x - 5, y - 5, x + 5, y + 5), outline=_MARK, width=2)
    return part


def _draw(picture: Image.Image, outlines: Iterable[Outline], scale: float, colour: tuple[int, int, int]) -> None:
    drawing = ImageDraw.Draw(picture)
    for outline in outlines:
        rings: list[Outline | Ring] = [outline, *outline.holes]
        for ring in rings:
            corners = [(x * scale, y * scale) for x, y in zip(ring.xs, ring.ys, strict=True)]
            drawing.line([*corners, corners[0]], fill=colour, width=2)


if __name__ == "__main__":
    main()
