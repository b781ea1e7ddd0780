"""A program that uploads 300 MB to an S3 store and tells by how many bytes it grew: `upload_large.py URL`.

The options come as JSON on standard input.
"""

import json
import os
import sys
from pathlib import Path

from pinakes.core.content.store import new_key
from pinakes.core.content.stores import S3Options, open_store

PIECES = 300
_PIECE_BYTES = 1_000_000


def peak_bytes() -> int:
    """The most memory this program has had resident. (getrusage would tell of its parent's before the exec, too.)"""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    store = open_store(sys.argv[1], s3=S3Options(**json.load(sys.stdin)))
    warm = store.begin(new_key())
    warm.write(b"x")
    warm.commit()
    before = peak_bytes()
    key = new_key()
    writer = store.begin(key)
    for _ in range(PIECES):
        writer.write(os.urandom(_PIECE_BYTES))
    writer.commit()
    report = {"grown_bytes": peak_bytes() - before, "size_bytes": store.open(key).size_bytes}
    store.delete(key)
    print(json.dumps(report))  # noqa: T201 - the answer to its parent
