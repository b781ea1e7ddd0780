"""Processes that must not outlive the one that started them."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")

_PR_SET_PDEATHSIG = 1


class Tie:
    """Given as the first argument to a process that is spawned: reading it there ties that process to this one.

    Arguments are read in their order, and a function among them loads its module when it is read. Tied by then, the
    process is gone with this one even while it loads, which takes seconds.
    """

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return _tie_to, (os.getpid(),)


def tied(_tie: Tie | None, function: Callable[..., _T], *args: Any) -> _T:
    """What such a process is to call; by then its tie has been read, and is None."""
    return function(*args)


def die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies (Linux), and end now if it has died already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def _tie_to(parent_pid: int) -> None:
    """Ctrl-C at the terminal is the parent's to hear, which then stops its children in order."""
    die_with(parent_pid)
    os.setpgid(0, 0)
