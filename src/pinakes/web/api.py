"""What an API is to the server: a folder under `apis` whose package holds one `API` of this type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from starlette.types import ASGIApp

from pinakes.core.archive import Archive
from pinakes.web.bridge import Bridge
from pinakes.web.origin import Origins, Place


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What every API is built with.

    max_json_bytes: the largest JSON body taken.   time_zone: in which "today" is judged.
    scratch: a folder for nameless files, on a real disk and not to be read by others.
    allowed_origins: web origins whose pages may call an API that answers browsers, in lower case.
    places: where every API is mounted, by its name, for those that name addresses in others.
    session_seconds: how long a login of a browser lasts.
    is_stopping: whether the server has been told to stop: answers that would go on for long are to end then.
    """

    archive: Archive
    bridge: Bridge
    origins: Origins
    max_json_bytes: int
    time_zone: tzinfo
    scratch: Path
    allowed_origins: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    session_seconds: int = 12 * 3600
    is_stopping: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Api:
    """One API.

    name: as in its settings (`PINAKES_<NAME>_PATH`, `PINAKES_<NAME>_HOST`).
    default_path: where it is mounted unless a setting says otherwise; no trailing slash.
    collapses_doubled_path: a path given twice counts as once (djinn contract 1.9).
    has_loose_slashes: runs of slashes count as one, one at the end is ignored (tscharts contract G2, G3).
    parts: where below its path it is found, if not everywhere below it (see `mounts.Mount`).
    """

    name: str
    default_path: str
    create: Callable[[ApiContext], ASGIApp]
    collapses_doubled_path: bool = False
    has_loose_slashes: bool = False
    parts: tuple[str, ...] = ("",)
