"""`pinakes jobs`: long work, and `pinakes worker`, which does it."""

from typing import TYPE_CHECKING, Annotated

import typer

from pinakes.cli import console
from pinakes.cli.session import Data, archive_of

if TYPE_CHECKING:
    from pinakes.core.jobs.jobs import Job

app = typer.Typer(help="Long work: what waits, runs and has ended.", rich_markup_mode=None)

_PAGE = 500

State = Annotated[
    str | None,
    typer.Option(help="Only queued, running, done, failed or cancelled.", metavar="S", show_default=False),
]
Kind = Annotated[str | None, typer.Option(help="Only this kind.", metavar="K", show_default=False)]
JobId = Annotated[int, typer.Argument(metavar="ID", help="The job's id.")]


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, state: State = None, kind: Kind = None, data: Data = None) -> None:
    if context.invoked_subcommand is None:
        list_jobs(state, kind, data)


@app.command("list")
def list_jobs(state: State = None, kind: Kind = None, data: Data = None) -> None:
    """List jobs, the newest first: id, kind, state, progress, user, image, worker, created, ended."""
    from pinakes.acting import operator
    from pinakes.core.jobs.kinds import JobState

    if state is not None and state not in list(JobState):
        raise typer.BadParameter(f"--state is one of {', '.join(JobState)}")
    wanted = None if state is None else JobState(state)
    found: list[Job] = []
    with archive_of(data) as archive:
        before_id = None
        while page := archive.jobs.list(operator(), state=wanted, kind=kind, before_id=before_id, most=_PAGE):
            found += page
            before_id = page[-1].id
    heads = ("ID", "KIND", "STATE", "PROGRESS", "USER", "IMAGE", "WORKER", "CREATED", "ENDED")
    console.table(heads, [_row(job) for job in found])


@app.command("show")
def show(job_id: JobId, data: Data = None) -> None:
    """Show a job and what it told."""
    from pinakes.acting import operator

    with archive_of(data) as archive:
        job = archive.jobs.get(operator(), job_id)
        lines = archive.jobs.log(operator(), job_id)
    facts = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "progress": _percent(job),
        "error": job.error or "-",
        "user": job.user_id or "-",
        "image": job.image_id or "-",
        "worker": job.worker or "-",
        "attempts": job.attempts,
        "created": console.moment(job.created_at),
        "started": console.moment(job.started_at) or "-",
        "ended": console.moment(job.ended_at) or "-",
    }
    console.table(
        ("WHAT", "VALUE"), [*facts.items(), *((console.moment(line.created_at), line.message) for line in lines)]
    )


@app.command("cancel")
def cancel(job_id: JobId, data: Data = None) -> None:
    """Cancel a job. One that runs stops within a second."""
    from pinakes.acting import operator

    with archive_of(data) as archive:
        was_active = archive.jobs.stop(operator(), job_id)
    console.note(f"cancelled job {job_id}" if was_active else f"job {job_id} had ended already")


def worker(data: Data = None) -> None:
    """Do the archive's long work until SIGTERM or Ctrl-C. `serve` starts one of these by itself."""
    from pinakes import config
    from pinakes import worker as process

    process.run(config.load(data=data))


def _row(job: "Job") -> tuple[object, ...]:
    return (
        job.id,
        job.kind,
        job.state,
        _percent(job),
        job.user_id or "-",
        job.image_id or "-",
        job.worker or "-",
        console.moment(job.created_at),
        console.moment(job.ended_at) or "-",
    )


def _percent(job: "Job") -> str:
    return "-" if job.progress is None else f"{job.progress:.0%}"
