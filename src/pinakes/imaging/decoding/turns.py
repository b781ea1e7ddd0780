"""Who may use which of a few things, in the order in which they came."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Closed(Exception):
    """There is nothing to be had any more."""


class _Waiter(Generic[Thing]):
    def __init__(self) -> None:
        self.called = threading.Event()
        self.given: Thing | None = None


class Turns(Generic[Thing]):
    """Things handed out to one thread each; whoever has waited longest is next."""

    def __init__(self, things: Iterable[Thing]) -> None:
        self._lock = threading.Lock()
        self._idle = list(things)  # empty whenever somebody waits
        self._waiting: deque[_Waiter[Thing]] = deque()
        self._is_closed = False

    def take(self, liking: Callable[[Thing], int], wait_seconds: float) -> Thing:
        """One of them, to be given back. Of several that are idle, the one that is liked most.

        Raises TimeoutError if none became free in time, Closed.
        """
        with self._lock:
            if self._is_closed:
                raise Closed
            if self._idle:
                chosen = max(self._idle, key=liking)
                self._idle.remove(chosen)
                return chosen
            waiter: _Waiter[Thing] = _Waiter()
            self._waiting.append(waiter)
        return self._awaited(waiter, wait_seconds)

    def give_back(self, thing: Thing) -> None:
        """Another may use it now."""
        with self._lock:
            if self._waiting:
                waiter = self._waiting.popleft()
                waiter.given = thing
                waiter.called.set()
            else:
                self._idle.append(thing)

    def close(self) -> list[Thing]:
        """Hand out nothing any more, and wake those who wait; what is idle now."""
        with self._lock:
            self._is_closed = True
            for waiter in self._waiting:
                waiter.called.set()
            self._waiting.clear()
            idle, self._idle = self._idle, []
        return idle

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def _awaited(self, waiter: _Waiter[Thing], wait_seconds: float) -> Thing:
        try:
            waiter.called.wait(wait_seconds)
        finally:
            with self._lock:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
        if waiter.given is not None:
            return waiter.given
        if waiter.called.is_set():
            raise Closed
        raise TimeoutError
