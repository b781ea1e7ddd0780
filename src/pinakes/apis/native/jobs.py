"""Long work: what waits, runs and has ended."""

from typing import Annotated

from fastapi import Query
from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import jobs as models
from pinakes.apis.native.models.values import Cursor, JobStateName, Limit, PathId
from pinakes.core.access.guard import require_account
from pinakes.core.actor import Actor, Permission, Resource
from pinakes.core.jobs.kinds import JobState
from pinakes.web.api import ApiContext

_KIND = Query(max_length=64)


class Jobs:
    """`/jobs` and what is below: one's own, and all for staff."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._jobs = context.archive.jobs
        self._callers = callers

    async def list(
        self,
        request: Request,
        state: JobStateName | None = None,
        kind: Annotated[str | None, _KIND] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> models.JobPage:
        """List jobs, newest first: one's own, or all for staff."""
        wanted = None if state is None else JobState(state)
        found = await self._callers.read(
            request,
            lambda actor: self._jobs.list(_looking(actor), state=wanted, kind=kind, before_id=cursor, most=limit),
        )
        items = [representation.job(job) for job in found]
        return models.JobPage(items=items, next_cursor=representation.cursor_after(found, limit))

    async def get(self, request: Request, job_id: PathId) -> models.Job:
        """Show a job."""
        return representation.job(
            await self._callers.glance(request, lambda actor: self._jobs.get(_looking(actor), job_id))
        )

    async def log(self, request: Request, job_id: PathId) -> models.JobLog:
        """Show what a job told while it ran."""
        lines = await self._callers.read(request, lambda actor: self._jobs.log(_looking(actor), job_id))
        return models.JobLog(items=[representation.job_log_line(line) for line in lines])

    async def cancel(self, request: Request, job_id: PathId) -> models.Job:
        """Stop a job. One that has ended stays as it is."""

        def stop(actor: Actor) -> models.Job:
            require_account(actor, Resource.IMAGE, Permission.WRITE)
            self._jobs.stop(actor, job_id)
            return representation.job(self._jobs.get(actor, job_id))

        return await self._callers.change(request, stop)


def _looking(actor: Actor) -> Actor:
    """Raises Unauthenticated, ScopeMissing."""
    require_account(actor, Resource.IMAGE, Permission.READ)
    return actor
