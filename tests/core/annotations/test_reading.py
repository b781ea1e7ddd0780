"""Annotation XML as it is read: the dialects, and everything that is refused (pathomiq contract 4.12, section 7)."""

import codecs
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinakes.core.annotations import aperio, dialect, reading
from pinakes.core.annotations.dialect import Limits
from pinakes.core.annotations.model import Layer, Markup, Region, Shape
from pinakes.core.annotations.reading import Reader
from pinakes.core.errors import InvalidFields
from tests.core.annotations.making import (
    ASAP,
    HALO,
    IMAGESCOPE,
    INNER,
    MARKUPS,
    SQUARE,
    asap_polygon,
    document,
    polygon,
    read,
    region,
)

MIB = 1024 * 1024


def refusal(xml: bytes) -> str:
    """Why a document is not taken."""
    with pytest.raises(InvalidFields) as caught:
        read(xml)
    (reason,) = caught.value.problems[dialect.FIELD]
    return reason


def is_read_or_refused(xml: bytes) -> bool:
    """Whether nothing else happens."""
    try:
        read(xml)
    except InvalidFields as exc:
        return set(exc.problems) == {dialect.FIELD}
    return True


# -- Dialects -----------------------------------------------------------------------------------------------------


def test_imagescope_layers_are_read_with_their_colours_attributes_regions_and_holes() -> None:
    assert read(IMAGESCOPE) == Markup(
        (
            Layer(
                "Tumour",
                (0, 255, 0),
                (("Description", "invented"),),
                (region(SQUARE, text="first"), region(INNER, is_hole=True)),
            ),
            Layer("", (255, 0, 0)),
        ),
        0.2525,
    )


def test_halo_writes_short_vertices_and_types_in_words() -> None:
    (layer,) = read(HALO).layers
    assert layer.colour == (0, 0, 255)
    assert layer.regions == (
        region([(5, 5), (15, 25)], Shape.RECTANGLE),
        region([(0, 0), (3, 4)], Shape.LINE),
        region([(7, 8)], Shape.POINTS),
    )


def test_asap_annotations_are_layered_by_group_sorted_by_order_and_may_have_decimal_commas() -> None:
    tumour, none, empty = read(ASAP).layers
    assert tumour == Layer(
        "Tumor",
        (255, 128, 0),
        regions=(
            region([(0.5, 0), (10.5, 0), (10.5, 10), (0.5, 10)], text="Annotation 0"),
            region([(0, 0), (2, 0), (0, 2)], text="Annotation 2"),
        ),
    )
    assert none == Layer("", (0x64, 0xFE, 0x2E), regions=(region([(3, 4)], Shape.POINTS, text="Annotation 1"),))
    assert empty == Layer("Empty", (0, 0, 0))


def test_asap_coordinates_without_an_order_stay_where_they_stand() -> None:
    (layer,) = read(asap_polygon('<Coordinate X="3" Y="1"/><Coordinate X="1" Y="2"/><Coordinate X="2" Y="3"/>')).layers
    assert layer.regions[0] == region([(3, 1), (1, 2), (2, 3)], text="a")


def test_a_decimal_comma_is_a_number_in_asap_only() -> None:
    """In Aperio's XML, which always has points, it might as well separate thousands."""
    assert "X is not a finite number" in refusal(document(polygon('<Vertex X="1,5" Y="2"/>')))
    assert "X is not a finite number" in refusal(asap_polygon('<Coordinate Order="0" X="1,234,5" Y="1"/>'))
    assert "X is not a finite number" in refusal(asap_polygon('<Coordinate Order="0" X="1,234.5" Y="1"/>'))


def test_attributes_and_elements_nobody_knows_are_passed_over() -> None:
    xml = document(
        '<Unknown X="nan"><Vertex X="nan"/></Unknown><Region Type="0" Nobody="knows">'
        '<Attributes><Attribute Name="n" Value="v"/></Attributes>'
        '<Vertices><Vertex X="1" Y="2" Z="nan" Pressure="full"/></Vertices></Region>'
    )
    assert read(xml).layers[0].regions == (region([(1, 2)]),)


def test_coordinates_outside_the_slide_are_legal() -> None:
    vertices = '<Vertex X="-5" Y="-1e9"/><Vertex X="1e15" Y="0.5"/>'
    assert read(document(polygon(vertices))).layers[0].regions == (region([(-5, -1e9), (1e15, 0.5)]),)


@pytest.mark.parametrize("far", ["1.1e15", "-1.7e308"])
def test_but_not_so_far_that_sums_of_them_are_infinite(far: str) -> None:
    assert "farther away" in refusal(document(polygon(f'<Vertex X="1" Y="{far}"/>')))
    assert "farther away" in refusal(asap_polygon(f'<Coordinate Order="0" X="{far}" Y="1"/>'))


@pytest.mark.parametrize("colour", ["", "red", "-1", "1" * 5000, "١٢"])
def test_a_colour_that_cannot_be_read_is_none(colour: str) -> None:
    assert read(document(attributes=f'Name="a" LineColor="{colour}"')).layers[0].colour is None


@pytest.mark.parametrize("micron", ["", "abc", "nan", "0", "-0.25", "inf"])
def test_a_scale_that_cannot_be_read_is_not_known(micron: str) -> None:
    assert read(f'<Annotations MicronsPerPixel="{micron}"/>'.encode()).microns_per_pixel is None


# -- Round trips --------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(MARKUPS, st.integers(1, 300))
def test_what_is_written_is_read_back_the_same(markup: Markup, piece_bytes: int) -> None:
    assert read(b"".join(aperio.write(markup)), piece_bytes) == markup


@settings(max_examples=40)
@given(MARKUPS)
def test_the_same_markup_always_gives_the_same_bytes(markup: Markup) -> None:
    written = b"".join(aperio.write(markup))
    assert b"".join(aperio.write(read(written))) == written


@settings(max_examples=25)
@given(st.integers(1, 70), st.sampled_from([IMAGESCOPE, HALO, ASAP]))
def test_where_the_pieces_end_makes_no_difference(piece_bytes: int, xml: bytes) -> None:
    padded = xml + b" " * 70_000  # longer than what the reader gathers
    assert read(padded, piece_bytes * 997) == read(xml)


def test_the_children_of_a_layer_stand_in_the_order_that_readers_expect() -> None:
    """Contract section 7: Attributes, Regions, Plots; some programs find them by position."""
    layer = Layer("Tissue", (0, 255, 0), (("model", "invented"),), (region(SQUARE),))
    lines = b"".join(aperio.write(Markup((layer,), 0.25))).decode().splitlines()
    opening = [line.split()[0].split(">")[0] for line in lines if not line.startswith(("<?", "</", "<Vertex "))]
    assert opening == [
        "<Annotations",
        "<Annotation",
        "<Attributes",
        "<Attribute",
        "<Regions",
        "<Region",
        "<Vertices",
        "<Plots/",
    ]
    assert 'LineColor="65280"' in lines[2]
    assert 'Length="40.0000" Area="100.0000" LengthMicrons="10.0000" AreaMicrons="6.2500"' in "".join(lines)


@pytest.mark.parametrize("text", ["\0", "\x1b", "\ufffe", "\ud800"])
def test_a_text_that_xml_cannot_hold_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="character"):
        list(aperio.write(Markup((Layer(text),))))


# -- Refused ------------------------------------------------------------------------------------------------------

BILLION_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + b"".join(
        b'<!ENTITY lol%d "%s">' % (n, b"&lol%s;" % (str(n - 1).encode() if n > 1 else b"") * 10) for n in range(1, 10)
    )
    + b']><Annotations><Annotation Name="&lol9;"/></Annotations>'
)


@pytest.mark.parametrize(
    "xml",
    [
        b"<!DOCTYPE Annotations><Annotations/>",
        b'<!DOCTYPE Annotations SYSTEM "http://127.0.0.1:9/x.dtd"><Annotations/>',
        b'<!DOCTYPE Annotations [<!ENTITY e SYSTEM "file:///etc/passwd">]><Annotations a="&e;"/>',
        b'<!DOCTYPE Annotations [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><Annotations/>',
        BILLION_LAUGHS,
    ],
)
def test_a_document_type_declaration_is_refused(xml: bytes) -> None:
    assert "document type declaration" in refusal(xml)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"", "no element found"),
        (b"PNG\r\n", "not well-formed"),
        (b"<Annotations>", "no element found"),
        (b"<Annotations></Annotation>", "mismatched tag"),
        (b"<Annotations/><Annotations/>", "junk after document element"),
        (b'<Annotations a="&nothing;"/>', "undefined entity"),
        (b'<Annotations a="&#xD800;"/>', "reference to invalid character number"),
        (b'<Annotations a="&#0;"/>', "reference to invalid character number"),
        (b"<Annotations>\0</Annotations>", "not well-formed"),
        (b'<Annotations a="\xff"/>', "not well-formed"),
        (b"<Annotations a='1' a='2'/>", "duplicate attribute"),
        (b"<svg/>", "root is neither"),
        (b"<annotations/>", "root is neither"),
        (b'<x:Annotations xmlns:x="urn:x"/>', "root is neither"),
    ],
)
def test_what_is_no_annotation_is_refused(xml: bytes, reason: str) -> None:
    assert reason in refusal(xml)


@pytest.mark.parametrize(
    "text", ["", " ", "NaN", "nan", "inf", "-Infinity", "1e999", "abc", "0x10", "1_0", "١", "1 2", "9" * 5000, "1;2"]
)
def test_a_coordinate_that_is_no_finite_number_is_refused(text: str) -> None:
    vertex = f'<Vertex X="1" Y="{text}"/>'
    assert "coordinate Y is not a finite number" in refusal(document(polygon(vertex)))
    assert "coordinate Y is not a finite number" in refusal(asap_polygon(f'<Coordinate X="1" Y="{text}"/>'))
    assert "Order is not a finite number" in refusal(asap_polygon(f'<Coordinate Order="{text}" X="1" Y="1"/>'))


def test_a_coordinate_that_is_missing_is_refused() -> None:
    assert "coordinate X is missing" in refusal(document(polygon('<Vertex x="1" Y="1"/>')))
    assert "coordinate Y is missing" in refusal(asap_polygon('<Coordinate X="1"/>'))


def test_a_refusal_names_the_line() -> None:
    lines = "\n".join('<Vertex X="1" Y="1"/>' for _ in range(5000)) + '\n<Vertex X="1" Y="oops"/>'
    assert refusal(document("\n\n" + polygon(lines))).startswith("line 5003: ")


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(xml: bytes) -> None:
    assert is_read_or_refused(xml)


@given(st.sampled_from([IMAGESCOPE, HALO, ASAP]), st.integers(0, 3000), st.binary(max_size=12), st.integers(0, 12))
def test_a_damaged_document_is_read_or_refused(xml: bytes, position: int, patch: bytes, dropped: int) -> None:
    assert is_read_or_refused(xml[:position] + patch + xml[position + dropped :])


# -- Encodings ----------------------------------------------------------------------------------------------------

_UMLAUT = '<Annotations><Annotation Name="Tümör"/></Annotations>'


@pytest.mark.parametrize(
    "xml",
    [
        _UMLAUT.encode(),
        codecs.BOM_UTF8 + _UMLAUT.encode(),
        _UMLAUT.encode("utf-16"),
        codecs.BOM_UTF16_BE + _UMLAUT.encode("utf-16-be"),
        b'<?xml version="1.0" encoding="ISO-8859-1"?>' + _UMLAUT.encode("latin-1"),
        b'<?xml version="1.0" encoding="windows-1252"?>' + _UMLAUT.encode("cp1252"),
    ],
)
def test_encodings_that_say_what_they_are_are_read_right(xml: bytes) -> None:
    assert read(xml).layers[0].name == "Tümör"


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-7",
        "utf-32",
        "cp037",
        "gb2312",
        "rot13",
        "hex",
        "zlib",
        "idna",
        "unicode_escape",
        "undefined",
        "os",
        "x-none",
    ],
)
def test_encodings_that_hide_something_are_refused(encoding: str) -> None:
    xml = f'<?xml version="1.0" encoding="{encoding}"?>{_UMLAUT}'.encode()
    assert "encoding" in refusal(xml)


def test_utf_32_is_refused() -> None:
    assert refusal(_UMLAUT.encode("utf-32")).startswith("line ")


def test_an_entity_hidden_in_utf_16_is_refused_all_the_same() -> None:
    assert "document type declaration" in refusal(BILLION_LAUGHS.decode().encode("utf-16"))


# -- Bombs --------------------------------------------------------------------------------------------------------


def fed(pieces: Iterator[bytes], limits: Limits | None = None) -> str:
    """Why a document that is made while it is read is not taken; it must be refused soon, and grow nothing."""
    reader = Reader(_ignore, limits)
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(InvalidFields) as caught:
            for piece in pieces:
                reader.feed(piece)
            reader.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * MIB
    assert time.process_time() - began < 20
    return caught.value.problems[dialect.FIELD][0]


def test_depth_is_bounded() -> None:
    assert "nested more than" in fed(iter([b"<Annotations>" + b"<a>" * 100]))


def test_the_number_of_elements_is_bounded() -> None:
    too_many = fed(iter([b"<Annotations>" + b"<a/>" * 60_000]), Limits(elements=50_000))
    assert "more than 50000 elements" in too_many


def test_a_tag_that_does_not_end_is_refused_before_it_fills_the_memory() -> None:
    endless = (b"x" * MIB for _ in range(64))
    assert "longer than" in fed(_after(b'<Annotations a="', endless))


def test_a_comment_that_does_not_end_is_refused_before_it_fills_the_memory() -> None:
    assert "longer than" in fed(_after(b"<!--", (b"x" * MIB for _ in range(64))))


def test_a_tag_that_comes_in_tiny_pieces_is_not_scanned_again_with_each() -> None:
    """Forms hand on a body in pieces as small as the line ends in it are apart."""
    tiny = (b"\r\n" for _ in range(300_000))
    assert fed(_after(b"<Annotations ", tiny)) != ""


def test_long_text_between_tags_is_passed_over() -> None:
    reader = Reader(_ignore)
    reader.feed(b"<Annotations>")
    for _ in range(4):
        reader.feed(b"x" * MIB)
    reader.feed(b"</Annotations>")
    assert reader.close().layers == []


@pytest.mark.parametrize(
    ("limit", "xml"),
    [
        ("MAX_LAYERS", b"<Annotations>" + b"<Annotation/>" * 4 + b"</Annotations>"),
        (
            "MAX_LAYER_ATTRIBUTES",
            b"<Annotations><Annotation><Attributes>"
            + b"<Attribute/>" * 4
            + b"</Attributes></Annotation></Annotations>",
        ),
    ],
)
def test_layers_and_attributes_are_bounded(monkeypatch: pytest.MonkeyPatch, limit: str, xml: bytes) -> None:
    read(xml)
    monkeypatch.setattr(aperio, limit, 3)
    assert "more than 3" in refusal(xml)


def test_regions_are_bounded_and_more_may_be_in_what_may_be_larger() -> None:
    regions = document('<Region Type="0"/>' * 4)
    with pytest.raises(InvalidFields, match="more than 3 regions"):
        reading.read([regions], Limits(regions=3))
    reading.read([regions], dialect.ADMITTED)
    assert Limits.of(1) == Limits.of(64 * MIB) == Limits()
    assert Limits.of(256 * MIB).regions == 1_000_000


def test_names_and_texts_are_bounded() -> None:
    too_long = "n" * (dialect.MAX_NAME + 1)
    assert "Name is longer than 255" in refusal(document(attributes=f'Name="{too_long}"'))
    assert "Text is longer than" in refusal(document(f'<Region Text="{"t" * (dialect.MAX_TEXT + 1)}"/>'))
    group = f'<ASAP_Annotations><AnnotationGroups><Group Name="{too_long}"/></AnnotationGroups></ASAP_Annotations>'
    assert "Name is longer than 255" in refusal(group.encode())


def _ignore(layer: int, drawn: Region) -> None:
    """A reader that wants nothing."""


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
