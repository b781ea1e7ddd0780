"""What a photograph says of itself in its EXIF fields: when it was taken, with what, and what of it tells on people.

Field numbers are those of EXIF 3.0 (CIPA DC-008), tables 4 to 15. Values are the camera's or a stranger's: nothing is
believed before it is checked, and a damaged field is one that is not there.
"""

import io
import re
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final

_EXIF_FIELDS: Final = 0x8769
_GPS_FIELDS: Final = 0x8825
_MAKE, _MODEL, _DATE_TIME = 0x010F, 0x0110, 0x0132

_TAKEN: Final = ((0x9003, 0x9011), (0x9004, 0x9012))
"""Original and digitized: the fields of the time, and of its offset from UTC."""

_TELLS: Final = {
    0x010E: "EXIF description",
    0x013B: "EXIF artist",
    0x8298: "EXIF copyright",
    0x9C9B: "EXIF title",
    0x9C9C: "EXIF comment",
    0x9C9D: "EXIF author",
    0x9C9E: "EXIF keywords",
    0x9C9F: "EXIF subject",
    0x927C: "EXIF maker note",
    0x9286: "EXIF comment",
    0xA420: "EXIF unique ID",
    0xA430: "EXIF camera owner",
    0xA431: "EXIF serial number",
    0xA435: "EXIF lens serial number",
}
"""Fields that may tell who is shown, or whose camera it was."""

_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Exif:
    """captured_at: ISO 8601, with an offset if it is known.   camera: maker and model.   identity: names of fields."""

    captured_at: str | None = None
    camera: str | None = None
    identity: tuple[str, ...] = ()


NO_EXIF: Final = Exif()


def parse_exif(block: bytes) -> Exif:
    """Of an EXIF block as it lies in a JPEG, PNG, WebP or HEIC, with or without the mark before it. Never raises."""
    return read_exif(io.BytesIO(block.removeprefix(b"Exif\0\0")))


def read_exif(tiff: BinaryIO, *, is_tiff_file: bool = False) -> Exif:
    """Of a TIFF structure, which is what EXIF is, from the stream's position. Never raises.

    is_tiff_file: where DateTime is when the picture was made; in other files it is when they were last changed.
    """
    from PIL import Image

    found = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.load_from_fp(tiff)
            fields = {**found, **found.get_ifd(_EXIF_FIELDS)}
            has_gps = bool(found.get_ifd(_GPS_FIELDS))
    except Exception:
        # Pillow raises errors of many kinds on damaged fields; whichever it is, nothing is known.
        return NO_EXIF
    tells = {name for field, name in _TELLS.items() if fields.get(field)} | ({"EXIF GPS"} if has_gps else set())
    return Exif(_captured_at(fields, is_tiff_file), _camera(fields), tuple(sorted(tells)))


def _captured_at(fields: dict[int, Any], is_tiff_file: bool) -> str | None:
    candidates = [*_TAKEN, (_DATE_TIME, None)] if is_tiff_file else _TAKEN
    moments = (_moment(fields.get(time), fields.get(offset) if offset else None) for time, offset in candidates)
    return next((moment for moment in moments if moment), None)


def _moment(time: Any, offset: Any) -> str | None:
    """`2021:02:03 04:05:06` and `+01:00` as ISO 8601; None for what is no time, such as blanks or the year 0."""
    if not isinstance(time, str):
        return None
    try:
        moment = datetime.strptime(time.rstrip("\0 "), "%Y:%m:%d %H:%M:%S").isoformat()  # noqa: DTZ007
    except ValueError:
        return None
    known = isinstance(offset, str) and re.fullmatch(r"[+-](?:[01]\d|2[0-3]):[0-5]\d", offset.rstrip("\0 "), re.ASCII)
    return moment + (known.group() if known else "")


def _camera(fields: dict[int, Any]) -> str | None:
    make, model = _name(fields.get(_MAKE)), _name(fields.get(_MODEL))
    if model.casefold().startswith(make.casefold()):
        make = ""
    return f"{make} {model}".strip() or None


def _name(value: Any) -> str:
    """Text of a field that can be shown; nothing for anything else."""
    if not isinstance(value, str):
        return ""
    return "".join(letter for letter in value.partition("\0")[0] if letter.isprintable()).strip()[:_LONGEST_NAME]
