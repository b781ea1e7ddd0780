"""The server's processes: one parent that listens, and workers that answer.

    pinakes serve ─ parent          opens the socket, checks everything once, starts and restarts workers
                     ├─ worker 1    its own interpreter, archive and thread pool; accepts from the shared socket
                     ├─ worker 2
                     └─ job worker  does the long work (pinakes.worker); started when the server answers

The socket is the parent's, so a port is taken once or not at all, and a worker that dies takes no waiting connections
with it. The kernel kills the workers when the parent dies, however that happens. Workers are spawned, not forked: the
libraries below keep threads. Settings go to them through a pipe, so that no secret is on a command line.
"""

import logging
import logging.config
import multiprocessing
import os
import resource
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess
from starlette.types import ASGIApp

from pinakes import kinship, logs, opening
from pinakes.config import Settings
from pinakes.core.errors import PinakesError
from pinakes.failures import Failed
from pinakes.opening import OpeningFailed
from pinakes.server import application
from pinakes.server.jobworkers import JobWorkers
from pinakes.web.faults import log_fault

if TYPE_CHECKING:
    from ctypes import c_byte

log = logging.getLogger(__package__)

_BACKLOG = 1024
_LEAST_LIFE_SECONDS = 5.0
_RESTART_PAUSE_SECONDS = 1.0
_READY_POLL_SECONDS = 0.05
_MOST_OPEN_FILES = 65_536


class CannotServe(Failed):
    """The server cannot start; the message says why."""


def serve(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; returns when every worker has ended.

    on_ready: called once, in a thread of its own, with the server's address when it answers.
    Raises CannotServe, OpeningFailed, before any worker is started.
    """
    logging.config.dictConfig(logs.configuration(settings.log_level))
    logs.hide_messages()
    _check(settings)
    _allow_open_files()
    listener = _listen(settings.host, settings.port)
    address = _address(settings.host, listener)
    multiprocessing.set_start_method("spawn", force=True)
    stopping = multiprocessing.RawValue("b", 0)  # without a lock, which a worker that is killed could keep
    server = _Server(listener, settings, stopping)
    job_workers = JobWorkers(settings)

    def announce() -> None:
        _wait_until_ready(address)
        job_workers.start()
        if on_ready is not None:
            on_ready(address)

    threading.Thread(target=announce, name="announce", daemon=True).start()
    log.info("listening at %s, workers: %d", address, settings.worker_count)
    load = partial(kinship.tied, kinship.Tie(), _load, settings, stopping)
    server.serve(target_loader=load, wrap_loader=False)
    job_workers.stop()
    log.info("stopped")


def _check(settings: Settings) -> None:
    """Everything that would keep the workers from starting is found here, once."""
    try:
        application.check_places(settings)
    except ValueError as exc:
        raise CannotServe(str(exc)) from exc
    with opening.opened(settings) as archive:
        opening.check(archive)


# -- The parent ---------------------------------------------------------------------------------------------------


class _Server(MPServer):
    """Granian's supervisor with a listening socket of ours, which is given to every worker.

    stopping: made 1 when it is told to stop, for answers that would otherwise go on.
    """

    _shd: Any
    _sfd: Any
    _sso: Any

    def __init__(self, listener: socket.socket, settings: Settings, stopping: "c_byte") -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(
            "pinakes",
            host,
            port,
            interface=Interfaces.ASGI,
            workers=settings.worker_count,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=settings.connections,
            workers_kill_timeout=settings.shutdown_seconds,
            log_dictconfig=logs.configuration(settings.log_level),
            log_level=_GRANIAN_LEVELS[settings.log_level],
            respawn_failed_workers=True,
        )
        self._listener = listener
        self._stopping = stopping

    def _init_shared_socket(self) -> None:
        self._sso = self._listener
        self._sfd = self._listener.fileno()
        self._shd = SocketHolder(self._sfd, False, _BACKLOG)  # type: ignore[call-arg]

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        self._stopping.value = 1
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """SIGHUP: the terminal is gone, so stop. There is nothing to reload; settings are read once."""
        self.signal_handler_interrupt(*args, **kwargs)

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        """Until told to stop, replace workers that end. One that dies young is replaced after a pause."""
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait()
            self.main_loop_interrupt.clear()
            while self.interrupt_children and not self.interrupt_signal:
                index = self.interrupt_children.pop(0)
                log.error("worker %d ended unexpectedly and is replaced", index + 1)
                worker: WorkerProcess = self.wrks[index]
                if time.monotonic() - worker.birth < _LEAST_LIFE_SECONDS:
                    time.sleep(_RESTART_PAUSE_SECONDS)
                self._respawn_workers([index], spawn_target, target_loader)


_GRANIAN_LEVELS = {
    "debug": LogLevels.info,
    "info": LogLevels.warning,
    "warning": LogLevels.warning,
    "error": LogLevels.error,
}


def _listen(host: str, port: int) -> socket.socket:
    """Raises CannotServe if the address cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.create_server(address, family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as exc:
        why = "no such host name"
        if isinstance(exc, OSError) and not isinstance(exc, socket.gaierror):
            why = os.strerror(exc.errno) if exc.errno else str(exc)
        raise CannotServe(f"cannot listen on {host} port {port}: {why}") from exc
    listener.set_inheritable(True)
    return listener


def _address(host: str, listener: socket.socket) -> str:
    """The URL at which this machine reaches the server."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"


def _wait_until_ready(address: str) -> None:
    """Until a worker answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"{address}/healthz", timeout=5):
                break
        except urllib.error.HTTPError:
            break  # an answer, if an odd one: an API may be mounted there
        except OSError:
            time.sleep(_READY_POLL_SECONDS)
    log.info("ready")


def _allow_open_files() -> None:
    """Each connection is a file; the usual limit of 1,024 is less than what workers are meant to take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# -- A worker -----------------------------------------------------------------------------------------------------


def _load(settings: Settings, stopping: "c_byte") -> ASGIApp:
    """The first thing a worker does."""
    logs.hide_messages()
    try:
        return application.build(settings, lambda: bool(stopping.value))
    except (OpeningFailed, PinakesError) as exc:
        log.error("the worker cannot start: %s", exc)
    except Exception as error:
        log_fault(log, "the worker cannot start", error)
    sys.exit(1)
