"""Single flight: what several ask for at once is made once."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """For threads of one process. What is made is not kept: the next who asks after it was made has it made again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[str, Future[T]] = {}

    def do(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gives, or raises: called here, or waited for if it is being called for the same key already."""
        with self._lock:
            flying = self._flying.get(key)
            mine = flying is None
            if flying is None:
                flying = self._flying[key] = Future()
        if mine:
            self._make(key, make, flying)
        return flying.result()

    def _make(self, key: str, make: Callable[[], T], flying: Future[T]) -> None:
        try:
            flying.set_result(make())
        except BaseException as error:
            flying.set_exception(error)
        finally:
            with self._lock:
                del self._flying[key]
