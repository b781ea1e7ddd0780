"""A program that begins an object, says so, and waits to be killed: `abandon.py STORE_URL KEY`."""

import sys
import time

from pinakes.core.content.stores import open_store

if __name__ == "__main__":
    writer = open_store(sys.argv[1]).begin(sys.argv[2])
    writer.write(b"x" * 1000)
    print("begun", flush=True)  # noqa: T201 - its parent waits for this line
    time.sleep(60)
