"""The bridge between the asynchronous web and the synchronous core: what runs in which thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Later(Generic[R]):
    """What is left of an operation that has done what takes no waiting. finish: does it; may leave something, too."""

    finish: "Callable[[], R | Later[R]]"


class Bridge:
    """Calls blocking functions from coroutines.

    inline: whether `quick` may run in the event loop: the database is in this process and a read takes well under a
    millisecond. A hop to a thread costs about 0.1 ms.
    threads: how many operations of the core may run at once.
    transfer_threads: how many pieces of bodies may be read or written at once. They have a pool of their own, so that
    a slow disk full of uploads leaves the small operations alone.
    """

    def __init__(self, inline: bool, threads: int = 16, transfer_threads: int = 32) -> None:
        self._inline = inline
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="core")
        self._transfers = ThreadPoolExecutor(transfer_threads, thread_name_prefix="transfer")

    async def quick(self, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function that only reads a little: in the event loop if the database allows it, else in a thread."""
        if self._inline:
            return fn(*args, **kwargs)
        return await self.thread(fn, *args, **kwargs)

    async def begin(self, fn: Callable[P, R | Later[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same for a function that may leave the longer part of its work: that is done in a thread."""
        if not self._inline:
            return await self.thread(lambda: _finished(fn(*args, **kwargs)))
        begun = fn(*args, **kwargs)
        return await self.thread(_finished, begun) if isinstance(begun, Later) else begun

    async def thread(self, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a thread.

        Returns or raises only when the function has ended, also if the waiting task is cancelled meanwhile: what the
        function uses may be closed after this.
        """
        return await settled(asyncio.get_running_loop().run_in_executor(self._pool, partial(fn, *args, **kwargs)))

    def transfer(self, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[R]":
        """Start a function that reads or writes a piece of a body; the future of its result."""
        return asyncio.get_running_loop().run_in_executor(self._transfers, partial(fn, *args, **kwargs))

    def close(self) -> None:
        """Wait for what is running and end the threads. May be called twice."""
        self._pool.shutdown()
        self._transfers.shutdown()


async def settled(future: "asyncio.Future[R]") -> R:
    """Wait until a future is done, even through cancellation, which then takes effect afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        if not future.cancelled():
            future.exception()  # looked at, or the loop reports it as never retrieved
        raise cancelled
    return future.result()


def _finished(begun: R | Later[R]) -> R:
    while isinstance(begun, Later):
        begun = begun.finish()
    return begun
