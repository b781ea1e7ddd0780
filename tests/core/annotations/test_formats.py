"""What the three formats share goes through each of them, and from one to the next, without loss."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinakes.core.annotations import formats, reading
from pinakes.core.annotations.dialect import Limits
from pinakes.core.annotations.formats import Format
from pinakes.core.annotations.model import Layer, Markup, Region, Shape
from pinakes.core.errors import InvalidFields
from tests.core.annotations.making import ASAP, HALO, IMAGESCOPE, SQUARE, read, region, shifted

_SPACING = 1000.0
_INSIDE = st.integers(-500_000, 500_000).map(lambda share: share / 1e6 * _SPACING)  # different ones stay so when moved
_PLACES = st.tuples(_INSIDE, _INSIDE)
_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=40).filter(
    lambda name: name != "None"  # ASAP's word for no group
)
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]) | st.sampled_from("\t\n\r"))
_COLOURS = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))


def _not_closed(points: list[tuple[float, float]]) -> bool:
    return points[0] != points[-1]


@st.composite
def polygons(draw: st.DrawFn) -> list[Region]:
    """A polygon and its holes, which may touch it, or be all of it; what fills one of them may follow."""
    outline = [(-500.0, -500.0), (500.0, -500.0 - draw(st.floats(0, 1))), (500.0, 500.0), (-500.0, 500.0)]
    shapes = st.lists(_PLACES, min_size=3, max_size=7).filter(_not_closed) | st.just(outline)
    holes = draw(st.lists(shapes, max_size=2))
    islands = draw(st.lists(st.sampled_from(holes), max_size=2)) if holes else []
    return [
        region(outline, text=draw(_TEXTS)),
        *(region(hole, is_hole=True) for hole in holes),
        *(region(island) for island in islands),
    ]


@st.composite
def shared(draw: st.DrawFn) -> Markup:
    """What all three can tell: named and coloured classes with polygons, their holes behind them, and points."""
    layers = []
    names = draw(st.lists(_NAMES, max_size=3, unique=True))
    place = 0
    for name in names:
        regions: list[Region] = []
        for _ in range(draw(st.integers(1, 3))):
            place += 1
            if draw(st.booleans()):
                regions += _moved(draw(polygons()), place * 2 * _SPACING)
            else:
                points = draw(st.lists(_PLACES, min_size=1, max_size=4))
                regions.append(region(points, Shape.POINTS, text=draw(_TEXTS)))
        layers.append(Layer(name, draw(_COLOURS), regions=tuple(regions)))
    return Markup(tuple(layers))


def _moved(regions: list[Region], x: float) -> list[Region]:
    return [
        region(shifted(list(zip(each.xs, each.ys, strict=True)), x, x / 3), is_hole=each.is_hole, text=each.text)
        for each in regions
    ]


def through(format: Format, markup: Markup) -> Markup:
    return read(b"".join(formats.write(format, markup)))


@pytest.mark.parametrize("format", Format)
@settings(max_examples=40, deadline=None)
@given(shared())
def test_what_the_formats_share_comes_back_the_same(format: Format, markup: Markup) -> None:
    """Issue 5, item 6: names, colours, polygons, holes and points, with coordinates exact to the last bit."""
    assert through(format, markup) == markup


@settings(max_examples=25, deadline=None)
@given(shared(), st.permutations(list(Format)))
def test_and_from_each_to_the_next(markup: Markup, order: list[Format]) -> None:
    for format in order:
        markup, before = through(format, markup), markup
        assert markup == before


@pytest.mark.parametrize("format", Format)
def test_a_polygon_that_is_closed_by_hand_stays_the_same_polygon(format: Format) -> None:
    (layer,) = through(format, Markup((Layer("a", (1, 2, 3), regions=(region([*SQUARE, SQUARE[0]]),)),))).layers
    (drawn,) = layer.regions
    points = list(zip(drawn.xs, drawn.ys, strict=True))
    assert points[:4] == list(SQUARE)
    assert points[4:] in ([], [SQUARE[0]])


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("document", [IMAGESCOPE, HALO, ASAP])
def test_what_programs_write_becomes_any_format_and_its_regions_all_come_back(format: Format, document: bytes) -> None:
    before, after = read(document), through(format, read(document))
    assert sum(len(layer.regions) for layer in after.layers) == sum(len(layer.regions) for layer in before.layers)
    assert {layer.name for layer in before.layers if layer.regions} <= {layer.name for layer in after.layers}


@pytest.mark.parametrize("format", Format)
def test_what_a_document_is_is_told_by_its_first_bytes(format: Format) -> None:
    document = b" \n" * 9 + b"".join(formats.write(format, read(IMAGESCOPE)))
    document = document.lstrip() if format is not Format.GEOJSON else document  # XML begins with its declaration

    def pieces() -> Iterator[bytes]:
        yield document[:300_000]
        pytest.fail("more was read than that takes")

    assert reading.format_of(iter([document])) is format
    if len(document) > 64 * 1024:
        assert reading.format_of(pieces()) is format


def test_a_format_that_is_not_wanted_is_not_taken() -> None:
    json = b"".join(formats.write(Format.GEOJSON, read(IMAGESCOPE)))
    reader = reading.Reader(lambda layer, drawn: None, Limits(), formats.XML_FORMATS)  # noqa: ARG005
    with pytest.raises(InvalidFields, match="well-formed"):
        reader.feed(json)
        reader.close()


def test_what_is_in_no_class_is_in_none_after_it_was_in_asaps_group_none() -> None:
    layer = Layer("", None, regions=(region(SQUARE),))
    (back,) = through(Format.GEOJSON, through(Format.ASAP, Markup((layer,)))).layers
    assert (back.name, back.colour) == ("", None)


def test_asap_puts_what_has_no_name_into_no_group_and_is_told_of_holes() -> None:
    hole = region(SQUARE, is_hole=True)
    document = b"".join(formats.write(Format.ASAP, Markup((Layer("", (1, 2, 3), regions=(hole,)),)))).decode()
    assert 'PartOfGroup="None" Color="#010203" NegativeROA="1"' in document
    assert "<Group " not in document
