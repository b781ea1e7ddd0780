"""Heat maps of runs: what their tiles scored, to be laid over the slide, as far as there are scores.

find ──> access to the slide, then the scores as they are, put in order once for all who look
picture ──> any part of it at any size; its etag tells what is seen, so that it stays while nothing is scored there
"""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pinakes.core.actor import Actor
from pinakes.core.analysis import plans
from pinakes.core.analysis.plans import Kept, Plan
from pinakes.core.clock import SECOND, Clock, Instant
from pinakes.core.db.engine import Database
from pinakes.core.errors import HeatMapUnknown, InvalidFields
from pinakes.core.readtrail import ReadTrail
from pinakes.core.renditions.renditions import (
    LEAST_SIDE,
    MOST_SIDE,
    Rendition,
    Renditions,
    ViewedImage,
    check_size,
    fitted,
)
from pinakes.core.renditions.views import Views
from pinakes.imaging import geometry
from pinakes.imaging.analysis import heat
from pinakes.imaging.analysis.heat import Heat, Layout
from pinakes.imaging.source import Rect, Size

if TYPE_CHECKING:
    from pinakes.imaging.analysis.heat import Steps

MOST_CACHED_BYTES: Final = 64 * 1024 * 1024
"""Of one process; the heat map that is asked for is there even if it alone takes more."""

FRESH: Final = 2 * SECOND
"""So long the heat map of a run that goes on is shown as it is: there may be a new batch ten times a second."""

_LOCKS: Final = 64
_DRAWING: Final = 1
"""To be raised when the same scores give another picture than before, for what clients have kept."""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The heat map of a run, as it was when it was asked for. Only for the request and the actor it was asked for."""

    viewed: ViewedImage
    run_id: int
    plan: Plan
    heat: Heat

    @property
    def column(self) -> str:
        """What is shown, with its unit."""
        return self.plan.columns[self.plan.heat_column]


@dataclass(frozen=True, slots=True)
class HeatPicture:
    """A picture of it, not yet encoded. etag: without quotes; the same for what looks the same."""

    etag: str
    steps: "Steps"

    def rendition(self) -> Rendition:
        return Rendition(heat.png(self.steps), "image/png", self.etag)


@dataclass(frozen=True, slots=True)
class _Cached:
    """The scores of a run after so many batches, or some more. made_at: when they were put in order."""

    settled_at: Instant
    batches: int
    made_at: Instant
    layout: Layout
    heat: Heat

    @property
    def size_bytes(self) -> int:
        return self.layout.size_bytes + self.heat.size_bytes


class HeatMaps:
    """Operations on heat maps. What takes a `HeatMap` takes one that `find` has just given to the same actor."""

    def __init__(
        self,
        database: Database,
        renditions: Renditions,
        trail: ReadTrail,
        clock: Clock,
        *,
        most_cached_bytes: int = MOST_CACHED_BYTES,
    ) -> None:
        self._database = database
        self._renditions = renditions
        self._views = Views(database, trail, clock)
        self._clock = clock
        self._cache: OrderedDict[int, _Cached] = OrderedDict()
        self._most_cached_bytes = most_cached_bytes
        self._lock = threading.Lock()
        self._loading = tuple(threading.Lock() for _ in range(_LOCKS))

    def find(self, actor: Actor, image_id: int, run_id: int | None = None) -> HeatMap:
        """The heat map of a run of a slide the actor may see, or of the newest run that has one.

        While the run goes on, it may be FRESH old. Raises HeatMapUnknown, and what `Renditions.info` raises.
        """
        viewed = self._renditions.info(actor, image_id)
        with self._database.read() as connection:
            kept = plans.kept(connection, image_id, run_id)
        if kept is None or kept.plan.input_digest != viewed.digest:
            raise HeatMapUnknown
        return HeatMap(viewed, kept.run_id, kept.plan, self._heat(image_id, kept))

    def whole(self, actor: Actor, heat_map: HeatMap, side: int) -> HeatPicture:
        """All of it, with a long side of 64 to 2048 pixels, or the slide's if that is less. Raises InvalidFields."""
        if not LEAST_SIDE <= side <= MOST_SIDE:
            raise InvalidFields.one("side", f"must be between {LEAST_SIDE} and {MOST_SIDE}")
        size = heat_map.viewed.size
        return self.picture(actor, heat_map, geometry.whole(size), fitted(size, side))

    def picture(self, actor: Actor, heat_map: HeatMap, rect: Rect, size: Size) -> HeatPicture:
        """What lies over a part of the slide. It is noted that the actor looked. Raises PictureTooLarge.

        rect: of the slide, level 0.
        """
        check_size(size)
        steps = heat.steps_of(heat_map.heat, rect, size)
        seen = hashlib.sha256(f"{_DRAWING} {steps.shape} ".encode())
        seen.update(steps.tobytes())
        self._views.note(actor, heat_map.viewed.image_id, heat_map.viewed.kind)
        return HeatPicture(seen.hexdigest(), steps)

    # -- The scores ------------------------------------------------------------------------------------------------

    def _heat(self, image_id: int, kept: Kept) -> Heat:
        """The scores of `kept`, or those of a moment ago. Who asks while they are put in order finds it done."""
        cached = self._cached(kept)
        if cached is None:
            with self._loading[kept.run_id % _LOCKS]:
                cached = self._cached(kept) or self._loaded(image_id, kept)
        return cached.heat

    def _cached(self, kept: Kept) -> _Cached | None:
        """The scores, if they are cached and new enough."""
        with self._lock:
            cached = self._cache.get(kept.run_id)
            if cached is None or cached.settled_at != kept.settled_at:
                return None
            is_fresh = not kept.is_whole and 0 <= self._clock() - cached.made_at < FRESH
            if cached.batches < kept.batches and not is_fresh:
                return None
            self._cache.move_to_end(kept.run_id)
            return cached

    def _loaded(self, image_id: int, kept: Kept) -> _Cached:
        """The scores as they are in the database, now cached. Raises HeatMapUnknown if they are gone since."""
        plan = kept.plan
        with self._database.read() as connection:
            layout = self._known_layout(kept)
            if layout is None:
                tiles = plans.settled_tiles(connection, kept)
                if tiles is None:
                    raise HeatMapUnknown
                layout = heat.layout_of(tiles)
            batches = ((number * plan.batch_tiles, packed) for number, packed in plans.settled_scores(connection, kept))
            made = heat.heat_of(
                layout, batches, columns=len(plan.columns), column=plan.heat_column, range=plan.heat_range
            )
            now = plans.kept(connection, image_id, kept.run_id)
        if now is None or now.settled_at != kept.settled_at:
            raise HeatMapUnknown
        loaded = _Cached(kept.settled_at, kept.batches, self._clock(), layout, made)
        self._keep(kept.run_id, loaded)
        return loaded

    def _known_layout(self, kept: Kept) -> Layout | None:
        """Where the tiles lie, if that is known from when fewer were scored."""
        with self._lock:
            cached = self._cache.get(kept.run_id)
        return cached.layout if cached is not None and cached.settled_at == kept.settled_at else None

    def _keep(self, run_id: int, loaded: _Cached) -> None:
        """Those looked at longest ago go first."""
        with self._lock:
            self._cache[run_id] = loaded
            self._cache.move_to_end(run_id)
            while len(self._cache) > 1 and self._cached_bytes > self._most_cached_bytes:
                self._cache.popitem(last=False)

    @property
    def _cached_bytes(self) -> int:
        return sum(cached.size_bytes for cached in self._cache.values())
