"""Answers that are made whole before they are sent: what is half sent can no longer be answered with an error."""

import asyncio
import errno
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Final
from weakref import WeakKeyDictionary

from starlette.responses import Response

from pinakes.core.errors import StorageFull, StoreUnavailable
from pinakes.web.bridge import Bridge
from pinakes.web.download import StreamResponse

_PIECE_BYTES: Final = 1024 * 1024
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_MADE_AT_ONCE: Final = 2
_making: Final["WeakKeyDictionary[Bridge, asyncio.Semaphore]"] = WeakKeyDictionary()


async def respond_made(
    make: Callable[[], Iterable[bytes]], folder: Path, bridge: Bridge, headers: Mapping[str, str]
) -> Response:
    """Make a body in a thread, in a file without a name in a folder, and send it.

    A worker makes two at a time, whichever APIs ask: each may take some 200 MB of memory meanwhile.
    Raises StorageFull, StoreUnavailable, and what making it raises.
    """
    async with _making.setdefault(bridge, asyncio.Semaphore(_MADE_AT_ONCE)):
        file, size_bytes = await bridge.thread(_written, make, folder)
    pieces = iter(partial(file.read, _PIECE_BYTES), b"")
    return StreamResponse(pieces, bridge, content_length=size_bytes, on_close=file.close, headers=headers)


def _written(make: Callable[[], Iterable[bytes]], folder: Path) -> tuple[IO[bytes], int]:
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed when it is sent
    try:
        for piece in make():
            file.write(piece)
        size_bytes = file.tell()
        file.seek(0)
    except BaseException as exc:
        file.close()
        if isinstance(exc, OSError):
            raise (StorageFull if exc.errno in _FULL else StoreUnavailable) from exc
        raise
    return file, size_bytes
