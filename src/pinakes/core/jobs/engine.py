"""DBOS Transact, which makes jobs durable: it keeps the result of every finished step. Only this module knows it.

What Pinakes leaves to DBOS is one workflow a job, known by the job's uid, and its steps. Which jobs run, where, and how
they end is in our own tables (`core.jobs.claims`); DBOS is not told what a job is about, so that no password gets
into its database. Its queues are used for one thing: each worker has one, on which it is given back the workflows that
it takes over from a dead one. There is one engine in a process, for DBOS is global.

    begin       start_workflow                         a job's first attempt
    take_over   cancel_workflow, resume_workflow       the others; finished steps are not run again
    forget      delete_workflows                       once the job has ended
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID
from dbos import error as engine_errors
from sqlalchemy import URL, create_engine, event
from sqlalchemy import Engine as SqlEngine
from sqlalchemy.engine import make_url

from pinakes.core.jobs.kinds import JobCancelled, Json

_SCHEMA = "pinakes_jobs"
_APPLICATION = "pinakes"
_VERSION = "1"  # of the workflow around every job; with DBOS's own guess each release would strand the last one's jobs
_QUEUE_POLL_SECONDS = 1.0
_CONNECTIONS = 4
_BUSY_SECONDS = 30
_CONNECT_SECONDS = 10
_IDLE_SECONDS = 30
_FAR_SECONDS = 3600.0
_UNFINISHED = ("PENDING", "ENQUEUED", "CANCELLED")


class Engine:
    """The running job engine of one worker.

    worker: a name that no other worker has had.
    run: does a job, given its id; called in a thread of the engine's. Raises nothing but JobCancelled.
    """

    def __init__(self, database_url: str, folder: Path, worker: str, run: Callable[[int], None]) -> None:
        self._sql = _open(database_url, folder)
        self._queue = _queue_of(worker)
        _quieten()
        DBOS(config=_config(self._sql, worker))

        @DBOS.workflow(name="job", max_recovery_attempts=None)
        def job(job_id: int) -> None:
            run(job_id)

        self._workflow = job
        DBOS.listen_queues([self._queue])
        DBOS.launch()
        DBOS.register_queue(self._queue, polling_interval_sec=_QUEUE_POLL_SECONDS)

    def begin(self, job_id: int, uid: str) -> None:
        """Start a job here. Does nothing if it has been started anywhere before."""
        with SetWorkflowID(uid):
            DBOS.start_workflow(self._workflow, job_id)

    def take_over(self, job_id: int, uid: str) -> None:
        """Go on with a job here that was begun elsewhere, wherever it stands.

        Should its former execution live, it records nothing more.
        """
        status = DBOS.get_workflow_status(uid)
        if status is not None and status.status in _UNFINISHED:
            DBOS.cancel_workflow(uid)
            DBOS.resume_workflow(uid, queue_name=self._queue)
            return
        if status is not None:  # our database is older than the engine's: somebody restored a backup
            DBOS.delete_workflow(uid)
        self.begin(job_id, uid)

    def step(self, name: str, fn: Callable[[], Json]) -> Json:
        """Run a step of the job whose thread this is, or give back its result as JSON keeps it.

        What `fn` raises is not recorded: it may hold anything, and a step that failed has not finished.
        Raises JobCancelled if another worker has the job by now.
        """

        def recorded() -> Json:
            try:
                return msgspec.json.decode(msgspec.json.encode(fn()))
            except Exception as error:
                raise _Raised(error) from error

        try:
            return DBOS.run_step({"name": name}, recorded)
        except _Raised as raised:
            raise raised.error from None
        except (engine_errors.DBOSWorkflowCancelledError, engine_errors.DBOSWorkflowConflictIDError):
            raise JobCancelled from None

    def forget(self, uids: Sequence[str]) -> None:
        """Drop what is kept of jobs that have ended."""
        DBOS.delete_workflows(list(uids))

    def forget_worker(self, worker: str) -> None:
        """Drop the queue of a worker that is gone, once nothing is left on it that is not to be taken over."""
        DBOS.delete_queue(_queue_of(worker))

    def close(self) -> None:
        """Stop. What still runs is left as if the process had been killed."""
        with contextlib.suppress(Exception):
            DBOS.delete_queue(self._queue)
        DBOS.destroy(destroy_registry=True)
        self._sql.dispose()


class _Raised(BaseException):
    """Carries an exception of a step past DBOS, which records only what is an Exception."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__()


class _JsonSerializer(Serializer):
    """JSON instead of pickles: nothing that is read from the database can be made to run."""

    def serialize(self, data: Any) -> str:
        return msgspec.json.encode(data).decode()

    def deserialize(self, serialized_data: str) -> Any:
        return msgspec.json.decode(serialized_data)

    def name(self) -> str:
        return "json"


def _config(sql: SqlEngine, worker: str) -> DBOSConfig:
    """No telemetry, no Conductor and no listening connection, which we have no use for."""
    return {
        "name": _APPLICATION,
        "system_database_url": sql.url.render_as_string(hide_password=False),
        "system_database_engine": sql,
        "dbos_system_schema": _SCHEMA,
        "application_version": _VERSION,
        "executor_id": worker,
        "serializer": _JsonSerializer(),
        "enable_otlp": False,
        "use_listen_notify": False,
        "scheduler_polling_interval_sec": _FAR_SECONDS,
        "log_level": "WARNING",
    }


def _queue_of(worker: str) -> str:
    return f"worker-{worker}"


def _quieten() -> None:
    """Have DBOS log through the program's own handlers. It adds one of its own where it finds none."""
    log = logging.getLogger("dbos")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    log.propagate = True


def _open(database_url: str, folder: Path) -> SqlEngine:
    """Where DBOS keeps what it knows: a file beside SQLite, a schema of its own in PostgreSQL."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite":
        return _open_postgres(url)
    engine = create_engine(f"sqlite:///{folder / 'jobs.db'}", pool_size=_CONNECTIONS, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (f"busy_timeout = {_BUSY_SECONDS * 1000}", "journal_mode = WAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _open_postgres(url: URL) -> SqlEngine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=_CONNECTIONS,
        max_overflow=_CONNECTIONS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_SECONDS},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: psycopg.Connection, _: object) -> None:
        """A worker that is frozen in mid-transaction must not keep others from taking over its jobs."""
        connection.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_SECONDS * 1000}")
        connection.commit()

    return engine
