"""Annotations, made valid: as values by hypothesis, and as the XML of the programs that write them."""

from array import array
from collections.abc import Sequence

from hypothesis import strategies as st

from pinakes.core.annotations import reading
from pinakes.core.annotations.model import Layer, Markup, Region, Shape

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
INNER = ((2.0, 2.0), (4.0, 2.0), (4.0, 4.0), (2.0, 4.0))

IMAGESCOPE = b"""<Annotations MicronsPerPixel="0.252500">
 <Annotation Id="1" Name="Tumour" ReadOnly="0" LineColor="65280" Incremental="0" Type="4" Visible="1">
  <Attributes><Attribute Name="Description" Id="0" Value="invented"/></Attributes>
  <Regions>
   <RegionAttributeHeaders><AttributeHeader Id="9999" Name="Region" ColumnWidth="-1"/></RegionAttributeHeaders>
   <Region Id="1" Type="0" Zoom="0.1" Length="40.0" Area="100.0" Text="first" NegativeROA="0" InputRegionId="0">
    <Attributes/>
    <Vertices>
     <Vertex X="0" Y="0" Z="0"/><Vertex X="10" Y="0" Z="0"/><Vertex X="10.0" Y="10" Z="0"/><Vertex X="0" Y="1e1"/>
    </Vertices>
   </Region>
   <Region Id="2" Type="0" NegativeROA="1">
    <Vertices><Vertex X="2" Y="2"/><Vertex X="4" Y="2"/><Vertex X="4" Y="4"/><Vertex X="2" Y="4"/></Vertices>
   </Region>
  </Regions>
  <Plots/>
 </Annotation>
 <Annotation Id="2" Name="" LineColor="255"><Regions/></Annotation>
</Annotations>
"""

HALO = b"""<Annotations>
  <Annotation Name="Stroma" Visible="True" LineColor="16711680">
    <Regions>
      <Region Type="Rectangle" HasEndcaps="0" NegativeROA="0">
        <Vertices><V X="5" Y="5" /><V X="15" Y="25" /></Vertices><Comments />
      </Region>
      <Region Type="Ruler" HasEndcaps="0" NegativeROA="0"><Vertices><V X="0" Y="0"/><V X="3" Y="4"/></Vertices></Region>
      <Region Type="Pin" NegativeROA="0"><Vertices><V X="7" Y="8"/></Vertices></Region>
    </Regions>
  </Annotation>
</Annotations>
"""

ASAP = b"""<?xml version="1.0"?>
<ASAP_Annotations>
  <Annotations>
    <Annotation Name="Annotation 0" Type="Polygon" PartOfGroup="Tumor" Color="#F4FA58">
      <Coordinates>
        <Coordinate Order="2" X="10,5" Y="10" /><Coordinate Order="0" X="0,5" Y="0" />
        <Coordinate Order="1" X="10,5" Y="0" /><Coordinate Order="10" X="0.5" Y="10" />
      </Coordinates>
    </Annotation>
    <Annotation Name="Annotation 1" Type="Dot" PartOfGroup="None" Color="#64FE2E">
      <Coordinates><Coordinate Order="0" X="3" Y="4" /></Coordinates>
    </Annotation>
    <Annotation Name="Annotation 2" Type="Spline" PartOfGroup="Tumor" Color="#F4FA58">
      <Coordinates>
        <Coordinate Order="0" X="0" Y="0" /><Coordinate Order="1" X="2" Y="0" /><Coordinate Order="2" X="0" Y="2" />
      </Coordinates>
    </Annotation>
  </Annotations>
  <AnnotationGroups>
    <Group Name="Tumor" PartOfGroup="None" Color="#ff8000"><Attributes /></Group>
    <Group Name="Empty" PartOfGroup="None" Color="#000000"><Attributes /></Group>
  </AnnotationGroups>
</ASAP_Annotations>
"""


def region(
    points: Sequence[tuple[float, float]], shape: Shape = Shape.POLYGON, *, is_hole: bool = False, text: str = ""
) -> Region:
    return Region(shape, array("d", (x for x, _ in points)), array("d", (y for _, y in points)), is_hole, text)


def shifted(points: Sequence[tuple[float, float]], x: float, y: float) -> list[tuple[float, float]]:
    return [(x + this_x, y + this_y) for this_x, this_y in points]


def document(regions: str = "", *, attributes: str = 'Name="a"') -> bytes:
    """A document with one layer."""
    return f"<Annotations><Annotation {attributes}><Regions>{regions}</Regions></Annotation></Annotations>".encode()


def polygon(vertices: str) -> str:
    return f'<Region Type="0"><Vertices>{vertices}</Vertices></Region>'


def asap_polygon(coordinates: str) -> bytes:
    return (
        '<ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" PartOfGroup="None"><Coordinates>'
        f"{coordinates}</Coordinates></Annotation></Annotations></ASAP_Annotations>"
    ).encode()


_COORDINATES = st.floats(-1e15, 1e15) | st.integers(-(10**6), 10**6).map(float)
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]) | st.sampled_from("\t\n\r"))
_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=40)
_REGIONS = st.builds(
    region,
    st.lists(st.tuples(_COORDINATES, _COORDINATES), max_size=8),
    st.sampled_from([Shape.POLYGON, Shape.RECTANGLE, Shape.ELLIPSE, Shape.LINE, Shape.POINTS]),
    is_hole=st.booleans(),
    text=_TEXTS,
)
LAYERS = st.builds(
    Layer,
    _NAMES,
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)),
    st.lists(st.tuples(_TEXTS, _TEXTS), max_size=3).map(tuple),
    st.lists(_REGIONS, max_size=4).map(tuple),
)
MARKUPS = st.builds(
    Markup,
    st.lists(LAYERS, max_size=3).map(tuple),
    st.none() | st.floats(0.01, 100),
)
"""What Aperio's XML can tell of."""


def read(document: bytes, piece_bytes: int = 1 << 20) -> Markup:
    return reading.read(document[start : start + piece_bytes] for start in range(0, len(document), piece_bytes))
