"""Runs: predictions of slides, started, stopped, looked at and followed; one slide, or a whole study."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final

from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import runs as models
from pinakes.apis.native.models.values import Cursor, Limit, PathId
from pinakes.apis.native.operations import Operation
from pinakes.core.analysis.results import SeenRun
from pinakes.core.errors import PinakesError, Unavailable
from pinakes.web.api import ApiContext
from pinakes.web.event_stream import HEARTBEAT, MEDIA_TYPE, EventStream, event

_MOST_STREAMS: Final = 64
_MOST_STREAMS_OF_USER: Final = 8
"""How many runs one process lets be followed at a time, by all, and by one user."""
_LOOK_SECONDS: Final = 1.0
_HEARTBEAT_SECONDS: Final = 15.0
_STREAM_SECONDS: Final = 600.0
"""After so long a client asks again, as browsers do by themselves."""

_STREAM: Final = {
    "description": "Events `progress`, then one `end`, each with a RunProgress.",
    "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
}


class Runs:
    """`/images/{image_id}/runs` and what is below, and `/study-runs`."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._analysis = context.archive.analysis
        self._callers = callers
        self._is_stopping = context.is_stopping
        self._streams: Counter[int | None] = Counter()

    def operations(self, path: str, study_path: str) -> Sequence[Operation]:
        one = f"{path}/{{run_id}}"
        return [
            Operation("GET", path, self.list, "runs"),
            Operation("POST", path, self.start, "runs", 201, (409, 429)),
            Operation("POST", f"{path}/current/cancel", self.stop, "runs", errors=(409,)),
            Operation("GET", one, self.get, "runs"),
            Operation("GET", f"{one}/events", self.events, "runs", answers={200: _STREAM}),
            Operation("POST", study_path, self.start_study, "runs", errors=(404,)),
        ]

    async def list(
        self, request: Request, image_id: PathId, cursor: Cursor = None, limit: Limit = 50
    ) -> models.RunPage:
        """List the predictions of a slide, newest first."""
        found = await self._callers.read(
            request, lambda actor: self._analysis.list(actor, image_id, before_id=cursor, most=limit)
        )
        items = [representation.run(run) for run in found]
        return models.RunPage(items=items, next_cursor=representation.cursor_after(found, limit))

    async def start(self, request: Request, image_id: PathId, new: models.NewRun) -> models.Run:
        """Have a slide predicted. It waits for its turn; one at a time for each slide."""
        return representation.run(
            await self._callers.change(request, lambda actor: self._analysis.start(actor, image_id, new.model))
        )

    async def stop(self, request: Request, image_id: PathId) -> models.Run:
        """Stop the prediction of a slide that waits or runs. Nothing more comes of it."""
        return representation.run(
            await self._callers.change(request, lambda actor: self._analysis.stop(actor, image_id))
        )

    async def get(self, request: Request, image_id: PathId, run_id: PathId) -> models.Run:
        """Show a prediction: how far it is, and where its result comes from."""
        return representation.run(
            await self._callers.glance(request, lambda actor: self._analysis.get(actor, image_id, run_id))
        )

    async def events(self, request: Request, image_id: PathId, run_id: PathId) -> EventStream:
        """Follow a prediction as server-sent events, until it ends or for ten minutes; ask again to go on."""
        user_id = (await self._callers.identify(request)).user_id
        run = await self._callers.read(request, lambda actor: self._analysis.get(actor, image_id, run_id))
        if self._streams.total() >= _MOST_STREAMS or self._streams[user_id] >= _MOST_STREAMS_OF_USER:
            raise Unavailable("Too many predictions are being followed; ask for the run itself, or try again later.")
        self._streams[user_id] += 1
        return EventStream(self._follow(request, run), partial(self._end_stream, user_id))

    async def start_study(self, request: Request, new: models.NewStudyRuns) -> models.StudyRuns:
        """Have the slides of one of the laboratory's studies predicted, as far as one may see them and may have jobs.

        Those come first that never were, then those whose last prediction is oldest. The answer names those that were
        not started, and why: to ask again goes on with them.
        """
        done = await self._callers.change(
            request, lambda actor: self._analysis.start_study(actor, new.study, new.model, again=new.again)
        )
        return models.StudyRuns(
            started=[representation.run(run) for run in done.started],
            not_started=[models.NotStarted(image_id=one.image_id, reason=one.reason) for one in done.not_started],
        )

    def _end_stream(self, user_id: int | None) -> None:
        self._streams[user_id] -= 1

    async def _follow(self, request: Request, run: SeenRun) -> AsyncGenerator[bytes]:
        """The events of a run, from how it is now. Who asks, and the run, are looked up anew once a second."""
        look = partial(self._analysis.get, ref=run.image_id, run_id=run.id)
        loop = asyncio.get_running_loop()
        ends_at, told_at, told = loop.time() + _STREAM_SECONDS, loop.time(), ""
        while run.is_active:
            progress = representation.run_progress(run).model_dump_json()
            if progress != told:
                yield event("progress", progress)
                told, told_at = progress, loop.time()
            elif loop.time() >= told_at + _HEARTBEAT_SECONDS:
                yield HEARTBEAT
                told_at = loop.time()
            if loop.time() >= ends_at or self._is_stopping():
                return
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                run = await self._callers.read_anew(request, look)
            except PinakesError:
                return  # slide or token are gone, or the archive cannot tell just now: who asks again is told
        yield event("end", representation.run_progress(run).model_dump_json())
