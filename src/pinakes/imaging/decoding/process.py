"""One decoding process, as the one sees it who started it: start, ask, stop."""

import os
import socket
import subprocess
import sys
import time
from typing import Final, Self

import msgspec

from pinakes.imaging.decoding import wire
from pinakes.imaging.decoding.ranges import Supply
from pinakes.imaging.decoding.requests import (
    Answer,
    Bounds,
    DecodeRequest,
    DecodingFailed,
    Exhausted,
    Needed,
    Orders,
    Ready,
)
from pinakes.imaging.scratch import ScratchFolder

START_SECONDS: Final = 30.0
"""How long a process may take until it is ready: on a busy machine its imports take long."""

SCRATCH: Final = "pinakes-decoding-"
"""How the names of the processes' folders begin."""

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

_encoder: Final = msgspec.msgpack.Encoder()
_answers: Final = msgspec.msgpack.Decoder(Answer)


class DecodingProcess:
    """Asked by one thread at a time; killed by any. is_ready: whether it has been seen to take requests."""

    def __init__(
        self, popen: subprocess.Popen[bytes], connection: socket.socket, bounds: Bounds, scratch: ScratchFolder
    ) -> None:
        self._popen = popen
        self._connection = connection
        self._bounds = bounds
        self._scratch = scratch
        self.is_ready = False

    @classmethod
    def start(cls, bounds: Bounds, *, is_early: bool = False) -> Self:
        """Start one; it is ready a little later. is_early: before anybody waits for it. Raises OSError.

        The kernel kills it when the calling thread ends, so call it from one that lives as long as it should.
        It inherits nothing secret: neither open files nor the environment. What it leaves in its scratch folder
        goes with it.
        """
        ours, theirs = socket.socketpair()
        scratch: ScratchFolder | None = None
        try:
            scratch = ScratchFolder(SCRATCH)
            popen = _spawned(Orders(os.getpid(), theirs.fileno(), str(scratch.path), bounds, is_early))
        except BaseException:
            ours.close()
            if scratch:
                scratch.close()
            raise
        finally:
            theirs.close()
        return cls(popen, ours, bounds, scratch)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def ask(self, request: DecodeRequest, supply: Supply | None = None) -> Answer:
        """The answer. After an error the process is of no more use: stop it.

        supply: of a distant file; the time that it takes counts.
        Raises Exhausted if it takes too long, DecodingFailed if the process dies, OverflowError or
        UnicodeEncodeError for a request that cannot be told.
        """
        message = _encoder.encode(request)
        if not self.is_ready:
            self._await_ready()
        try:
            deadline = time.monotonic() + self._bounds.seconds
            while True:
                wire.send(self._connection, message, deadline)
                answer = _answers.decode(wire.receive(self._connection, deadline))
                if supply is None or not isinstance(answer.result, Needed):
                    return answer
                message = supply.give(answer.result)
        except TimeoutError:
            raise Exhausted("The picture takes more time than is allowed.") from None
        except (wire.Ended, msgspec.MsgspecError) as error:
            raise DecodingFailed("The process that read the picture died.") from error

    def kill(self) -> None:
        """End it now, whatever it does. Who waits for its answer gets DecodingFailed."""
        self._popen.kill()
        self._popen.wait()

    def stop(self) -> int:
        """End it and forget it; its exit status. For the one who asks it, or when nobody does."""
        self.kill()
        self._connection.close()
        self._scratch.close()
        return self._popen.returncode

    def _await_ready(self) -> None:
        try:
            said = _answers.decode(wire.receive(self._connection, time.monotonic() + START_SECONDS))
        except (TimeoutError, wire.Ended, msgspec.MsgspecError) as error:
            raise DecodingFailed("The process that reads pictures did not start.") from error
        self.is_ready = isinstance(said.result, Ready)


def _spawned(orders: Orders) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in _KEPT_FROM_ENVIRONMENT if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - this interpreter, and nothing a client sent
        [sys.executable, "-P", "-m", "pinakes.imaging.decoding.child", msgspec.json.encode(orders).decode()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # libraries quote there what they read
        pass_fds=[orders.socket],
        cwd="/",
        env=kept | _ONE_THREAD_EACH | _MEMORY_KEPT | {"TMPDIR": orders.scratch},
        process_group=0,  # Ctrl-C at the terminal is for the parent to hear
    )
