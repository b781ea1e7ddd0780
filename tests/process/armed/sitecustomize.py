"""Makes a server of the tests die at one chosen step, as if by a power cut: it kills its parent and then itself.

Python imports this by itself when its folder is on PYTHONPATH. The file DIE_AT names the step once it exists, so that
a test can set the scene first. The program under test knows nothing of it.
"""

import os
import signal
from collections.abc import Callable
from typing import Any


def _die() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _check(step: str) -> None:
    try:
        with open(os.environ["DIE_AT"]) as order:
            chosen = order.read()
    except FileNotFoundError:
        return
    if step == chosen:
        _die()


def _around(owner: type, name: str, step: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _check(f"before {step}")
        result = original(*args, **kwargs)
        _check(f"after {step}")
        return result

    setattr(owner, name, wrapped)


if "DIE_AT" in os.environ:
    from pinakes.core.content import blobs
    from pinakes.core.content.content import Content
    from pinakes.core.content.uploads import Upload
    from pinakes.core.db.engine import Database

    _around(Upload, "write", "writing a piece")
    _around(Upload, "finish", "finishing the object")
    _around(Content, "adopt", "adopting the bytes")
    _around(Content, "release", "releasing the bytes")
    _around(Database, "_commit", "committing")
    _around(Content, "empty_trash", "emptying the trash")
    _around(blobs, "clear_trash", "clearing the note")  # type: ignore[arg-type]
