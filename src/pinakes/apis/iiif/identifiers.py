"""What a picture is called in an address.

    12    12@1.0    12:3    12:3@1.0        image 12, its newest content or the version named 1.0; its third frame

The name of a version may hold anything; it is percent-encoded, and so is the `@`, as Image API 3.0 section 9 has it.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from pinakes.core.errors import ImageUnknown
from pinakes.web.paging import parse_id

_FORM: Final = re.compile(r"([0-9]+)(?::([0-9]{1,6}))?(?:@(.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Identifier:
    """version: by its name; None for the newest.   frame: the first is 0."""

    image_id: int
    version: str | None = None
    frame: int = 0

    @classmethod
    def parse(cls, text: str) -> "Identifier":
        """From a decoded part of a path. Raises ImageUnknown for what can name nothing."""
        match = _FORM.fullmatch(text)
        image_id = parse_id(match[1]) if match else None
        if match is None or image_id is None or (match[2] is not None and int(match[2]) == 0):
            raise ImageUnknown
        return cls(image_id, match[3], int(match[2] or 1) - 1)

    def __str__(self) -> str:
        """As it stands in an address."""
        frame = f":{self.frame + 1}" if self.frame else ""
        version = quote(f"@{self.version}", safe="", errors="replace") if self.version is not None else ""
        return f"{self.image_id}{frame}{version}"
