"""Processes that read what strangers sent and run what may misbehave: how one starts, what it may take, how it ends.

who starts it    Confined ══ socket ══ the program, which calls `kinship.die_with` and `limit` first
"""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from pinakes.imaging.scratch import ScratchFolder

START_SECONDS: Final = 30.0
"""How long a process may take until it is ready: on a busy machine its imports take long."""

_KEPT_FROM_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")

_ONE_THREAD_EACH: Final = {
    "VIPS_CONCURRENCY": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
"""The processes are what runs side by side; and each thread takes address space."""

_MEMORY_KEPT: Final = {"MALLOC_MMAP_THRESHOLD_": str(4 * 1024 * 1024), "MALLOC_TRIM_THRESHOLD_": str(16 * 1024 * 1024)}
"""The pixels of one tile are put where those of the last one were: fresh memory costs a fifth of a tile's time."""

_MOST_FILES: Final = 256
_ROUNDS: Final = 10


class Spawned(NamedTuple):
    """A process that has just started. scratch: a folder of its own, in which it may make folders and links."""

    popen: subprocess.Popen[bytes]
    connection: socket.socket
    scratch: ScratchFolder


def spawned(program: str, prefix: str, orders: Callable[[int, str], bytes]) -> Spawned:
    """Start a module as a program. prefix: how the name of its scratch folder begins.
    orders: its only argument, by the number of its socket and its scratch folder.

    The kernel kills it when the calling thread ends, so call it from one that lives as long as it should.
    It inherits nothing secret: neither open files nor the environment. Raises OSError.
    """
    ours, theirs = socket.socketpair()
    scratch: ScratchFolder | None = None
    try:
        scratch = ScratchFolder(prefix)
        popen = _popen(program, orders(theirs.fileno(), str(scratch.path)), theirs.fileno(), str(scratch.path))
    except BaseException:
        ours.close()
        if scratch:
            scratch.close()
        raise
    finally:
        theirs.close()
    return Spawned(popen, ours, scratch)


class Confined:
    """A process at the other end of a socket, in a process group of its own. Killed by any thread."""

    def __init__(self, process: Spawned) -> None:
        self._popen, self._connection, self._scratch = process

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def kill(self) -> None:
        """End it now, whatever it does, and what it started."""
        if self._popen.returncode is None:  # else its number may be another's by now
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def stop(self) -> int:
        """End it and forget it and its folder; its exit status. For the one who asks it, or when nobody does."""
        self.kill()
        self._connection.close()
        self._scratch.close()
        return self._popen.returncode


def kill_all_of(folder: str) -> None:
    """Kill every process that was started with this scratch folder, also by one that is gone, in whatever group it is.

    For programs that start others, which the kernel would let live on. On Linux only. It costs some milliseconds.
    """
    mark = f"TMPDIR={folder}".encode()
    for _ in range(_ROUNDS):  # what is being killed may have started another meanwhile
        found = [pid for pid in _own_pids() if mark in _environment(pid)]
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return


def _own_pids() -> Iterator[int]:
    """Of all processes of this user but this one."""
    with suppress(OSError), os.scandir("/proc") as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.isdigit() and int(entry.name) != os.getpid() and entry.stat().st_uid == os.getuid():
                    yield int(entry.name)


def _environment(pid: int) -> list[bytes]:
    """The variables that a process was started with; none of one that has ended, or may not be looked at."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def limit(memory_bytes: int, *, file_bytes: int = 0, reserves_freely: bool = False) -> None:
    """What this process and each it starts may take, from now on.

    file_bytes: of one file that it writes; with 0 it writes to its socket only; folders and links are no files.
    reserves_freely: memory counts when it may be written to, not when an address is set aside for it.
    """
    memory = resource.RLIMIT_DATA if reserves_freely else resource.RLIMIT_AS
    for kind, most in (
        (memory, memory_bytes),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _popen(program: str, orders: bytes, connection: int, scratch: str) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in _KEPT_FROM_ENVIRONMENT if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - this interpreter, and nothing a client sent
        [sys.executable, "-P", "-m", program, orders.decode()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # libraries quote there what they read
        pass_fds=[connection],
        cwd="/",
        env=kept | _ONE_THREAD_EACH | _MEMORY_KEPT | {"TMPDIR": scratch},
        process_group=0,  # Ctrl-C at the terminal is for the parent to hear; and all of it can be killed at once
    )
