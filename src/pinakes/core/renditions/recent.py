"""What was used last, in memory: bounded, for the threads of one process."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by their keys; those used longest ago go first.

    most: of what all together may weigh.   weight: of one value.
    """

    def __init__(self, most: int, weight: Callable[[V], int]) -> None:
        self._most = most
        self._weight = weight
        self._values: OrderedDict[K, V] = OrderedDict()
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """What all weigh together."""
        return self._taken

    def get(self, key: K) -> V | None:
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> None:
        """Keep a value in place of the earlier one; not one that is heavier than all may be."""
        weight = self._weight(value)
        with self._lock:
            self._drop(key)
            if weight > self._most:
                return
            self._values[key] = value
            self._taken += weight
            while self._taken > self._most:
                self._drop(next(iter(self._values)))

    def _drop(self, key: K) -> None:
        if (value := self._values.pop(key, None)) is not None:
            self._taken -= self._weight(value)
