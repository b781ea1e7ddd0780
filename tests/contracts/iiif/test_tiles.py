"""Which tiles there are: info.json's and Deep Zoom's are the same ones, and fit what is stored."""

from hypothesis import example, given
from hypothesis import strategies as st

from pinakes.apis.iiif.deepzoom import descriptor, tile_at, tile_side
from pinakes.apis.iiif.information import information
from pinakes.apis.iiif.parameters import MAX_AREA, MAX_SIDE, image_request
from pinakes.apis.iiif.tiling import scale_factors, shrunk, tile_of
from pinakes.core.errors import TileUnknown
from pinakes.imaging.source import Description, Level, Size

SERVICE = "https://archive.example/iiif/3/12"

sizes = st.builds(Size, st.integers(1, 5_000), st.integers(1, 5_000))


def described(size: Size, tile: Size | None = None) -> Description:
    return Description("svs", size, (Level(size, 1.0, tile),))


def test_stored_tiles_are_offered_as_they_are_stored() -> None:
    found = information(SERVICE, described(Size(40_000, 30_000), Size(240, 256)))
    factors = [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert found["tiles"] == [{"width": 240, "height": 256, "scaleFactors": factors}]
    assert found["sizes"][0] == {"width": 157, "height": 118}


def test_tiles_too_small_or_too_large_for_viewers_are_not_offered() -> None:
    for tile in (None, Size(16, 256), Size(40_000, 8)):
        assert tile_of(described(Size(40_000, 30_000), tile)) == Size(512, 512)


def test_no_size_is_offered_beyond_the_limits() -> None:
    """Section 5.2: what `sizes` has must be within maxWidth, maxHeight and maxArea."""
    found = information(SERVICE, described(Size(200_000, 100_000)))
    for size in found["sizes"]:
        assert size["width"] <= found["maxWidth"] == MAX_SIDE
        assert size["height"] <= found["maxHeight"] == MAX_SIDE
        assert size["width"] * size["height"] <= found["maxArea"] == MAX_AREA


@given(sizes, st.sampled_from([Size(256, 256), Size(240, 512)]))
@example(Size(1, 1), Size(256, 256))
def test_every_tile_and_size_of_info_json_can_be_asked_for(full: Size, tile: Size) -> None:
    """As viewers compute them (Image API 3.0, implementation notes, section 3); the last factor has one tile."""
    offered = information(SERVICE, described(full, tile))
    for size in offered["sizes"]:
        asked = image_request("full", f"{size['width']},{size['height']}", "0", "default.jpg", full)
        assert (asked.wanted.size.width, asked.wanted.size.height) == (size["width"], size["height"])
    for factor in offered["tiles"][0]["scaleFactors"]:
        across, down = -(-full.width // (tile.width * factor)), -(-full.height // (tile.height * factor))
        for column, row in {(0, 0), (across - 1, down - 1)}:
            x, y = column * tile.width * factor, row * tile.height * factor
            width, height = min(tile.width * factor, full.width - x), min(tile.height * factor, full.height - y)
            size = f"{-(-width // factor)},{-(-height // factor)}"
            wanted = image_request(f"{x},{y},{width},{height}", size, "0", "default.jpg", full).wanted
            assert (wanted.rect.x, wanted.rect.width) == (x, width)
    assert across == down == 1


@given(sizes)
@example(Size(1, 1))
@example(Size(4_096, 1))
def test_the_tiles_of_a_deep_zoom_level_cover_the_picture_once(full: Size) -> None:
    shown = described(full, Size(256, 256))
    last = (max(full.width, full.height) - 1).bit_length()
    for level in range(last + 1):
        whole = shrunk(full, 1 << (last - level))
        columns, rows = -(-whole.width // 256), -(-whole.height // 256)
        row_of = [tile_at(shown, level, column, 0) for column in range(columns)]
        column_of = [tile_at(shown, level, 0, row) for row in range(rows)]
        assert sum(size.width for _, size in row_of) == whole.width
        assert sum(size.height for _, size in column_of) == whole.height
        assert sum(rect.width for rect, _ in row_of) == full.width
        assert sum(rect.height for rect, _ in column_of) == full.height
        for outside in ((columns, 0), (0, rows)):
            try:
                tile_at(shown, level, *outside)
            except TileUnknown:
                continue
            raise AssertionError("A tile outside the picture was found.")


def test_a_deep_zoom_tile_is_the_same_picture_as_one_of_the_image_api() -> None:
    """So that both are made and kept once, and stored tiles are found by either."""
    full = Size(1_000, 700)
    shown = described(full, Size(256, 256))
    rect, size = tile_at(shown, 9, 1, 0)
    wanted = image_request("512,0,488,512", "244,256", "0", "default.jpg", full).wanted
    assert (rect, size) == (wanted.rect, wanted.size)
    assert scale_factors(full, Size(256, 256)) == [1, 2, 4]


def test_the_descriptor_tells_size_and_tiles() -> None:
    shown = described(Size(1_000, 700), Size(240, 240))
    assert tile_side(shown) == 240
    assert 'TileSize="240"' in descriptor(shown)
    assert '<Size Width="1000" Height="700"/>' in descriptor(shown)
