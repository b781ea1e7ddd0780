"""The digest of a picture's pixels: the same for the same picture in another container, or with other EXIF fields.

It is the SHA-256, in lower-case hexadecimal digits, of

    width height channels bits LF      in decimal digits of ASCII, with one space between, as in "4000 3000 3 8"
    the samples                        row by row from the top, pixel by pixel, channel by channel

of the picture as it is stored: not turned upright, not converted by its colour profile, alpha kept as a channel. bits:
8, 16 or 32, the least that holds a sample; those of more than 8 bits are little-endian, negative ones two's complement.
What a palette names, JPEG's YCbCr and HEIC are RGB; samples of fewer than 8 bits are spread over 8 in photographs, and
stay as they are in DICOM. The frames of a DICOM file follow each other; other files of several pictures have no digest.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from pinakes.imaging.source import ImageSource

MOST_PIXELS: Final = 40_000_000
"""Of all frames together; larger pictures have no digest, since to decode them would take too long."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Decoded samples as they are digested. width, height: of one frame.   parts: of the samples, in order."""

    width: int
    height: int
    channels: int
    bits: int
    parts: Iterator[bytes]


@runtime_checkable
class Sampled(Protocol):
    """A source that can give the samples it stores."""

    def stored_samples(self) -> Samples | None:
        """None for those of a kind that is not digested. Raises, also later on, Unreadable and LimitExceeded."""


def pixel_digest(source: ImageSource) -> str | None:
    """64 hexadecimal digits; None for pictures too large for it, and of kinds that have none, such as slides.

    Raises Unreadable, LimitExceeded.
    """
    shown = source.description
    if shown.size is None or shown.size.width * shown.size.height * shown.frames > MOST_PIXELS:
        return None
    samples = source.stored_samples() if isinstance(source, Sampled) else None
    if samples is None:
        return None
    digest = hashlib.sha256(f"{samples.width} {samples.height} {samples.channels} {samples.bits}\n".encode("ascii"))
    for part in samples.parts:
        digest.update(part)
    return digest.hexdigest()
