"""Pieces of a body on their way from the event loop to a blocking sink: in order, few at a time, beside each other.

While the sink writes one piece in a thread, the next is being received. No thread is held while there is nothing to
write, so that thousands of slow clients cost no threads.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol

from pinakes.web.bridge import Bridge, settled

PIECE_BYTES: Final = 1024 * 1024
"""How much is gathered before it is handed on."""

_WAITING_PIECES: Final = 2  # and one more is in the sink's hands


class Sink(Protocol):
    """What takes the bytes of a body: an `Upload`, or anything that is written to in a thread."""

    def write(self, piece: bytes | bytearray, /) -> object: ...


class Feed:
    """Gathers bytes to pieces of PIECE_BYTES and hands them to a blocking function, one call at a time.

    An asynchronous context manager. When it is left, no call is running any more, whatever happened; without an
    exception, every byte was taken. What the sink raises comes out of the next `put`, or at the end.
    """

    def __init__(self, sink: Callable[[bytearray], object], bridge: Bridge) -> None:
        self._sink = sink
        self._bridge = bridge
        self._loop = asyncio.get_running_loop()
        self._gathered = bytearray()
        self._lock = threading.Lock()
        self._waiting: deque[bytearray] = deque()
        self._is_working = False
        self._room = asyncio.Event()
        self._error: BaseException | None = None
        self._work: asyncio.Future[None] | None = None

    async def put(self, data: bytes) -> None:
        """Take bytes; waits while the sink is behind."""
        if self._error is not None:
            raise self._error
        self._gathered += data
        if len(self._gathered) >= PIECE_BYTES:
            await self._hand_on()

    async def __aenter__(self) -> "Feed":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._gathered:
                await self._hand_on()
        except BaseException:
            self._waiting.clear()
            raise
        finally:
            if error is not None:
                self._waiting.clear()
            if self._work is not None:
                await settled(self._work)
        if error is None and self._error is not None:
            raise self._error

    async def _hand_on(self) -> None:
        while True:
            self._room.clear()
            if self._error is not None:
                raise self._error
            if len(self._waiting) < _WAITING_PIECES:
                break
            await self._room.wait()
        piece, self._gathered = self._gathered, bytearray()
        with self._lock:
            self._waiting.append(piece)
            must_start = not self._is_working
            self._is_working = True
        if must_start:
            self._work = self._bridge.transfer(self._run)

    def _run(self) -> None:
        """In a thread: hand on what is waiting, then end."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_working = False
                    return
                piece = self._waiting.popleft()
            self._loop.call_soon_threadsafe(self._room.set)
            try:
                self._sink(piece)
            except BaseException as error:
                self._error = error
                with self._lock:
                    self._waiting.clear()
                    self._is_working = False
                self._loop.call_soon_threadsafe(self._room.set)
                return
