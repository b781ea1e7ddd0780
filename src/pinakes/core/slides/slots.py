"""How many uploads one user may have under way at once, in this process."""

import threading
from collections import Counter

from pinakes.core.presigned.refusals import Code, refuse


class Slots:
    """Places that are taken when a transfer begins and given back when it ends. Safe to use from several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, user_id: int) -> None:
        """Raises UploadRefused (SlowDown) if all are taken."""
        with self._lock:
            if self._taken[user_id] >= self._most:
                raise refuse(Code.SLOW_DOWN)
            self._taken[user_id] += 1

    def give_back(self, user_id: int) -> None:
        with self._lock:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]
