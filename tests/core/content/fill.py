"""A program that writes to a disk store until it is full, in one of two ways: `fill.py tmpfs|limit FOLDER`.

`tmpfs` mounts a small file system that only this process sees; it ends with 77 where the system does not allow that.
`limit` forbids files over 1 MB (RLIMIT_FSIZE), which the kernel answers with EFBIG after a short write.
"""

import ctypes
import json
import os
import resource
import sys
from pathlib import Path

from pinakes.core.content.store import new_key
from pinakes.core.content.stores import DiskStore
from pinakes.core.errors import StorageFull

NOT_ALLOWED = 77
_CLONE_NEWNS, _CLONE_NEWUSER, _MS_REC, _MS_PRIVATE = 0x20000, 0x10000000, 0x4000, 0x40000
_LIBC = ctypes.CDLL(None, use_errno=True)


def mount_small(folder: Path) -> None:
    flags = _CLONE_NEWNS if os.geteuid() == 0 else _CLONE_NEWNS | _CLONE_NEWUSER
    private = _MS_REC | _MS_PRIVATE
    if (
        _LIBC.unshare(flags) != 0
        or _LIBC.mount(b"none", b"/", None, private, None) != 0
        or _LIBC.mount(b"none", bytes(folder), b"tmpfs", 0, b"size=8m") != 0
    ):
        sys.exit(NOT_ALLOWED)


def fill(folder: Path) -> dict[str, object]:
    """Keep a small object, fail at a large one, and tell what is left."""
    store = DiskStore(folder / "content")
    kept = store.begin(new_key())
    kept.write(b"k" * 1000)
    kept.commit()
    before = store.free_bytes()
    writer = store.begin(new_key())
    raised = ""
    try:
        for _ in range(20):
            writer.write(b"x" * 700_000)
        writer.commit()
    except StorageFull:
        raised = "StorageFull"
    writer.abort()
    left = [(found.size_bytes, found.is_partial) for found in store.list()]
    return {"raised": raised, "left": left, "is_room_back": store.free_bytes() == before}


if __name__ == "__main__":
    way, folder = sys.argv[1], Path(sys.argv[2])
    if way == "tmpfs":
        mount_small(folder)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    print(json.dumps(fill(folder)))  # noqa: T201 - the answer to its parent
