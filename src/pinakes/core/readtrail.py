"""What reading leaves behind: events of the audit trail, in batches so that reads stay fast (DESIGN.md rule 11).

    note ──> journal file (one append, survives kill -9 of the process) ──> memory
                                                                             │ every second, or when many
                                         journal truncated <── commit <── events

Each event carries a uid, so a journal that is taken twice (killed between the commit and the truncation) counts
once. Journals of dead processes are taken by the next one that starts in the same directory: the living hold a lock
on theirs. Beside the events goes the last use of tokens, which may be lost by an hour: it has no journal.
"""

import fcntl
import logging
import os
import secrets
import threading
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import bindparam, update
from sqlalchemy.dialects import postgresql, sqlite

from pinakes.core import audit
from pinakes.core.actor import Actor
from pinakes.core.audit import Event
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import events, tokens
from pinakes.core.errors import Unavailable

log = logging.getLogger(__name__)

_FLUSH_SECONDS = 1.0
_FLUSH_EVENTS = 2_000
_BATCH_EVENTS = 500
_SUFFIX = ".reads"

_INSERT = {
    True: sqlite.insert(events).on_conflict_do_nothing(index_elements=[events.c.uid]),
    False: postgresql.insert(events).on_conflict_do_nothing(index_elements=[events.c.uid]),
}
_TOUCH = update(tokens).where(tokens.c.id == bindparam("token_id")).values(last_used_at=bindparam("at"))


class ReadTrail:
    """The trail of one process. `note` costs microseconds and may be called from any thread.

    directory: where the journals are; made if absent.
    """

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._directory = directory
        self._name = secrets.token_hex(8)
        self._count = 0
        self._pending: list[dict[str, Any]] = []
        self._tokens: dict[int, Instant] = {}
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._journal: int | None = None

    def note(self, actor: Actor, event: Event, now: Instant, *, uid: str | None = None) -> None:
        """Add one event. It is in the database within about a second, whatever happens to this process.

        uid: of at most 64 characters; of events with the same one, wherever they are noted, one is kept.
        """
        row = audit.row_of(actor, event, now)
        with self._lock:
            if self._closed:
                raise RuntimeError("the trail is closed")
            self._count += 1
            row["uid"] = uid or f"{self._name}-{self._count}"
            os.write(self._open_journal(), msgspec.json.encode(row) + b"\n")
            self._pending.append(row)
            self._start()
            if len(self._pending) >= _FLUSH_EVENTS:
                self._wake.set()

    def note_token(self, token_id: int, now: Instant) -> None:
        """Note that a token is in use."""
        with self._lock:
            self._tokens[token_id] = now
            self._start()

    def flush(self) -> None:
        """Write what is pending now. Raises Unavailable if the database does not take it; nothing is lost then."""
        with self._flushing:
            with self._lock:
                rows = list(self._pending)
                used, self._tokens = self._tokens, {}
            self._insert(rows)
            self._touch(used)
            with self._lock:
                del self._pending[: len(rows)]
                if not self._pending and self._journal is not None:
                    os.ftruncate(self._journal, 0)

    def recover(self) -> int:
        """Take over the journals of processes that died; how many events they held."""
        found = 0
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")) if self._directory.is_dir() else []:
            if path.stem != self._name:
                found += self._take(path)
        return found

    def close(self) -> None:
        """Flush, and stop. May be called twice."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()
        if self._journal is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._journal)
            self._journal = None

    @property
    def _path(self) -> Path:
        return self._directory / f"{self._name}{_SUFFIX}"

    def _open_journal(self) -> int:
        if self._journal is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._journal = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._journal, fcntl.LOCK_EX)
        return self._journal

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="read-trail", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(_FLUSH_SECONDS)
            self._wake.clear()
            try:
                self.flush()
            except Unavailable:
                log.warning("the audit trail of reads could not be written yet; it is kept and tried again")

    def _insert(self, rows: list[dict[str, Any]]) -> None:
        for start in range(0, len(rows), _BATCH_EVENTS):
            with self._database.write() as transaction:
                transaction.execute(_INSERT[transaction.is_local], rows[start : start + _BATCH_EVENTS])

    def _touch(self, used: dict[int, Instant]) -> None:
        if used:
            with self._database.write() as transaction:
                transaction.execute(_TOUCH, [{"token_id": key, "at": at} for key, at in used.items()])

    def _take(self, path: Path) -> int:
        try:
            journal = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rows = _rows(path.read_bytes())
            self._insert(rows)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            return 0  # its process lives
        finally:
            os.close(journal)
        return len(rows)


def _rows(journal: bytes) -> list[dict[str, Any]]:
    """The events of a journal; a last line cut off by a crash was never answered for, and is dropped."""
    rows = []
    for line in journal.splitlines():
        try:
            rows.append(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.DecodeError:
            break
    return rows
