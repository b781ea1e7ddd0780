"""A small picture made from one that nobody vouches for: run as a program of its own, which may die.

    stdin    the bytes of a PNG, JPEG or WebP
    stdout   a PNG of at most 256 x 256 pixels, made anew: no metadata, no second frame, nothing that came after
    status   0; REFUSED for bytes that are no such picture; TOO_MANY_PIXELS; anything else, or a signal, if it died

The limits on memory and time are set before the first byte is looked at (DESIGN.md rule 6). The file runs by its path
alone and imports nothing of Pinakes, so that it starts fast; who starts it imports it for its constants only, and so
without Pillow.
"""

import io
import resource
import sys
from typing import Final

FORMATS: Final = ("PNG", "JPEG", "WEBP")
MOST_PIXELS: Final = 16 * 1024 * 1024
MOST_SIDE: Final = 256

REFUSED: Final = 3
TOO_MANY_PIXELS: Final = 4

_MEMORY_BYTES: Final = 768 * 1024 * 1024
_CPU_SECONDS: Final = 5


def main() -> int:
    """Read, make, write; the exit status."""
    _limit()
    try:
        made = icon_of(sys.stdin.buffer.read())
    except TooManyPixels:
        return TOO_MANY_PIXELS
    except Exception:
        # Pillow raises errors of many kinds on broken files. Whichever it is: this is no picture to be shown.
        return REFUSED
    sys.stdout.buffer.write(made)
    return 0


class TooManyPixels(Exception):
    """The picture has more than MOST_PIXELS."""


def icon_of(content: bytes) -> bytes:
    """The icon, as PNG. Raises TooManyPixels; for anything that is no picture whatever Pillow raises."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # counted here
    with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise TooManyPixels
        opened.thumbnail((2 * MOST_SIDE, 2 * MOST_SIDE))  # lets JPEG decode at a fraction of its size
        picture = ImageOps.exif_transpose(opened)
    has_alpha = "A" in picture.getbands() or "transparency" in picture.info
    drawn = picture.convert("RGBA" if has_alpha else "RGB")
    drawn.thumbnail((MOST_SIDE, MOST_SIDE))
    bare = Image.frombytes(drawn.mode, drawn.size, drawn.tobytes())  # what else hangs on a picture stays behind
    written = io.BytesIO()
    bare.save(written, "PNG", optimize=True)
    return written.getvalue()


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes to a pipe only
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
