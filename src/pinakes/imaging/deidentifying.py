"""`deidentify` as a program of its own, which may die of the file.

    python -m pinakes.imaging.deidentifying SOURCE TARGET
    stdout   for people: why not, if it was refused; else what is to be told of the copy, mostly nothing
    status   0; REFUSED; anything else, or a signal, if it died

Limits on memory and processor time are set before the first byte is looked at (DESIGN.md rule 6).
"""

import resource
import sys
from pathlib import Path
from typing import Final

REFUSED: Final = 3

_MEMORY_BYTES: Final = 4 * 1024**3
_CPU_SECONDS: Final = 15 * 60


def main(source: str, target: str) -> int:
    """Copy; the exit status."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from pinakes.imaging.deidentify import deidentify
    from pinakes.imaging.source import ImagingError

    try:
        sys.stdout.write(deidentify(Path(source), Path(target)))
    except ImagingError as exc:
        sys.stdout.write(str(exc))
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
