"""Bodies about long work."""

from pinakes.apis.native.models.values import JobStateName, Listed, Shown, ShownTime


class Job(Shown):
    """Long work. progress: 0 to 1, null while nobody can tell."""

    id: int
    uuid: str
    kind: str
    state: JobStateName
    progress: float | None
    error: str | None
    image_id: int | None
    user_id: int | None
    attempts: int
    created_at: ShownTime
    started_at: ShownTime | None
    ended_at: ShownTime | None


class JobPage(Listed):
    """Newest first."""

    items: list[Job]
    next_cursor: str | None


class JobLogLine(Shown):
    at: ShownTime
    message: str


class JobLog(Listed):
    """Oldest first."""

    items: list[JobLogLine]
