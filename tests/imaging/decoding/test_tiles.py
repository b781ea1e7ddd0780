"""Parts of a picture that are stored tiles."""

from hypothesis import assume, given
from hypothesis import strategies as st

from pinakes.imaging.decoding.tiles import Place, stored_place
from pinakes.imaging.source import Description, Level, Rect, Size

sides = st.integers(1, 100_000)
sizes = st.builds(Size, sides, sides)
tiles = st.builds(Size, st.integers(1, 600), st.integers(1, 600))


def pyramid(whole: Size, tile: Size, scales: tuple[int, ...]) -> Description:
    """Levels as scanners store them: the last, partial pixel of a row is left out."""
    levels = tuple(
        Level(
            Size(max(whole.width // scale, 1), max(whole.height // scale, 1)),
            whole.width / (whole.width // scale),
            tile,
        )
        for scale in scales
        if min(whole.width, whole.height) >= scale
    )
    return Description("fake", whole, levels)


@given(whole=sizes, tile=tiles, data=st.data())
def test_a_part_that_is_a_whole_stored_tile_is_found(whole: Size, tile: Size, data: st.DataObject) -> None:
    scales = (1, 4, 16)
    description = pyramid(whole, tile, scales)
    number = data.draw(st.integers(0, len(description.levels) - 1))
    assume(round(description.levels[number].downsample) == scales[number])  # not of so few pixels that it drifts
    width, height = tile.width * scales[number], tile.height * scales[number]
    column = data.draw(st.integers(0, max(whole.width // width - 1, 0)))
    row = data.draw(st.integers(0, max(whole.height // height - 1, 0)))
    rect = Rect(column * width, row * height, width, height)
    if rect.x + width <= whole.width and rect.y + height <= whole.height:
        assert stored_place(description, rect, tile) == Place(number, column, row)
        if width > 1:
            assert stored_place(description, Rect(rect.x + 1, rect.y, width, height), tile) is None
        if height > 1:
            assert stored_place(description, Rect(rect.x, rect.y + 1, width, height), tile) is None
        assert stored_place(description, rect, Size(tile.width + 1, tile.height)) is None


def test_a_level_that_drifts_by_more_than_a_pixel_is_not_taken_for_a_scaled_one() -> None:
    whole, tile = Size(10_000, 10_000), Size(256, 256)
    for level, expected in ((Size(2500, 2500), Place(1, 2, 3)), (Size(2502, 2500), None), (Size(2500, 2499), None)):
        description = Description("fake", whole, (Level(whole, 1.0, tile), Level(level, 10_000 / level.width, tile)))
        assert stored_place(description, Rect(2048, 3072, 1024, 1024), tile) == expected
