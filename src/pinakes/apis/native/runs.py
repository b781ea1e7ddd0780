"""Runs: predictions of slides, started, stopped, looked at and followed; one slide, or a whole study."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Final

from fastapi import Path
from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import runs as models
from pinakes.apis.native.models.values import Cursor, Limit, PathId
from pinakes.apis.native.operations import Operation
from pinakes.core.actor import Actor
from pinakes.core.analysis.results import SeenRun
from pinakes.core.errors import PinakesError, Unavailable
from pinakes.web.api import ApiContext
from pinakes.web.event_stream import HEARTBEAT, MEDIA_TYPE, EventStream, event

_MOST_STREAMS: Final = 64
"""How many runs one process lets be followed at a time."""
_LOOK_SECONDS: Final = 1.0
_HEARTBEAT_SECONDS: Final = 15.0
_STREAM_SECONDS: Final = 600.0
"""After so long a client asks again, as browsers do by themselves, and its token is looked at again."""

_STREAM: Final = {
    "description": "Events `progress`, then one `end`, each with a RunProgress.",
    "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
}

Study = Annotated[str, Path(min_length=1, max_length=255, description="As the laboratory calls it.")]


class Runs:
    """`/images/{image_id}/runs` and what is below, and `/studies/{study}/runs`."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._bridge = context.bridge
        self._analysis = context.archive.analysis
        self._callers = callers
        self._is_stopping = context.is_stopping
        self._streams = 0

    def operations(self, path: str, study_path: str) -> Sequence[Operation]:
        one = f"{path}/{{run_id}}"
        return [
            Operation("GET", path, self.list, "runs"),
            Operation("POST", path, self.start, "runs", 201, (409, 429)),
            Operation("POST", f"{path}/current/cancel", self.stop, "runs", errors=(409,)),
            Operation("GET", one, self.get, "runs"),
            Operation("GET", f"{one}/events", self.events, "runs", answers={200: _STREAM}),
            Operation("POST", study_path, self.start_study, "runs"),
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
        actor = await self._callers.identify(request)
        run = await self._bridge.thread(self._analysis.get, actor, image_id, run_id)
        if self._streams >= _MOST_STREAMS:
            raise Unavailable("Too many predictions are being followed; ask for the run itself, or try again later.")
        self._streams += 1
        return EventStream(self._follow(actor, run), self._end_stream)

    async def start_study(self, request: Request, study: Study, new: models.NewRun) -> models.StudyRuns:
        """Have all slides of one of the laboratory's studies predicted, as far as one may see them and may have jobs.

        The answer names those that were not started, and why.
        """
        done = await self._callers.change(request, lambda actor: self._analysis.start_study(actor, study, new.model))
        return models.StudyRuns(
            started=[representation.run(run) for run in done.started],
            not_started=[models.NotStarted(image_id=one.image_id, reason=one.reason) for one in done.not_started],
        )

    def _end_stream(self) -> None:
        self._streams -= 1

    async def _follow(self, actor: Actor, run: SeenRun) -> AsyncGenerator[bytes]:
        """The events of a run, from how it is now. The database is asked once a second, in a thread."""
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
                run = await self._bridge.thread(self._analysis.get, actor, run.image_id, run.id)
            except PinakesError:
                return  # the slide is gone, or the archive cannot tell just now: who asks again is told
        yield event("end", representation.run_progress(run).model_dump_json())
