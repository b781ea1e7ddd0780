"""`python -m bench`: every benchmark in turn, and the table of results.

--quick   smaller files and shorter runs, to see that it works; writes nothing
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from bench import clinic, large, report, small
from bench.servers import Pinakes

_PASSWORD = "a password for measuring"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--only", choices=("large", "small", "clinic"))
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pinakes-bench-"))
    try:
        rows, ratios = _run(folder, quick=given.quick, only=given.only)
    finally:
        shutil.rmtree(folder)
    if given.quick or given.only:
        print("\n".join([*(row.line() for row in rows), *ratios]))
    else:
        print(report.write(rows, ratios))


def _run(folder: Path, *, quick: bool, only: str | None) -> tuple[list[report.Row], list[str]]:
    runs = 2 if quick else 5
    rows: list[report.Row] = []
    ratios: list[str] = []
    archive = Pinakes(folder / "var")
    _add_user(archive, "builder", "machine")
    _add_user(archive, "tablet", "clinical")
    if only in {None, "large"}:
        size = large.GIB // 4 if quick else 2 * large.GIB
        more_rows, more_ratios = large.measure(folder, archive, archive.run("token", "create", "builder"), size, runs)
        rows += more_rows
        ratios += more_ratios
    if only in {None, "small"}:
        more_rows, more_ratios = _small(archive, quick=quick, runs=runs)
        rows += more_rows
        ratios += more_ratios
    if only in {None, "clinic"}:
        rows += clinic.measure(archive, _PASSWORD, 6_000_000, 5 if quick else 30)
    return rows, ratios


def _small(archive: Pinakes, *, quick: bool, runs: int) -> tuple[list[report.Row], list[str]]:
    sizes = (1_000, 10_000) if quick else (10_000, 1_000_000)
    tokens, middle = {}, {}
    for size in sizes:
        name = f"owner{size}"
        _add_user(archive, name, "machine")
        tokens[size] = archive.run("token", "create", name)
        middle[size] = small.fill(archive.data, name, size)
    return small.measure(archive, tokens, middle, 2 if quick else 5, runs)


def _add_user(archive: Pinakes, name: str, kinds: str) -> None:
    options = ["--email", f"{name}@example.org", "--password-stdin", "--kinds", kinds]
    archive.run("user", "add", name, *options, stdin=_PASSWORD)


if __name__ == "__main__":
    main()
