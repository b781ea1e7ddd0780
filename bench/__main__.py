"""`python -m bench [PART ...]`: the benchmarks, all or some, each part in turn; writes their tables of results.

--quick   smaller files and shorter runs, to see that it works; writes nothing
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import (
    analysis,
    analysis_runs,
    annotations,
    catalogues,
    clinic,
    jobs,
    laboratory,
    large,
    pictures,
    report,
    small,
    specimens,
    thumbnails,
    tiles,
    viewing,
)
from bench.servers import Pinakes
from tests.imaging.analysis import measuring_accuracy

_PASSWORD = "a password for measuring"
_MIB = 1024 * 1024

Results = tuple[list[report.Row], list[str]]


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where a part is measured, and how long. folder: its own, for files and archives."""

    folder: Path
    is_quick: bool

    @property
    def runs(self) -> int:
        return 2 if self.is_quick else 5

    def sized(self, quick: int, whole: int) -> int:
        return quick if self.is_quick else whole

    def archive(self, name: str, **users: str) -> Pinakes:
        """An archive in a folder of its own, with users of one kind each."""
        archive = Pinakes(self.folder / name / "var")
        archive.data.parent.mkdir()
        for user, kind in users.items():
            options = ["--email", f"{user}@example.org", "--password-stdin", "--kinds", kind]
            archive.run("user", "add", user, *options, stdin=_PASSWORD)
        return archive


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join((*_PARTS, *_TABLES))}")
    given = arguments.parse_args()
    if unknown := sorted(set(given.parts) - {*_PARTS, *_TABLES}):
        arguments.error(f"there is no part {unknown[0]}")
    for name in given.parts or (*_PARTS, *_TABLES):
        text = _TABLES[name]() if name in _TABLES else report.tables(*_measured(_PARTS[name], is_quick=given.quick))
        print(text, flush=True)
        if not given.quick:
            report.write(name, text)


def _measured(part: Callable[[_Bench], Results], *, is_quick: bool) -> Results:
    folder = Path(tempfile.mkdtemp(prefix="pinakes-bench-"))
    try:
        return part(_Bench(folder, is_quick))
    finally:
        shutil.rmtree(folder)


def _large(bench: _Bench) -> Results:
    archive = bench.archive("large", builder="machine")
    size = bench.sized(256, 2048) * _MIB
    return large.measure(bench.folder, archive, archive.run("token", "create", "builder"), size, bench.runs)


def _small(bench: _Bench) -> Results:
    sizes = (1_000, 10_000) if bench.is_quick else (10_000, 1_000_000)
    archive = bench.archive("small", **{f"owner{size}": "machine" for size in sizes})
    tokens = {size: archive.run("token", "create", f"owner{size}") for size in sizes}
    middle = {size: small.fill(archive.data, f"owner{size}", size) for size in sizes}
    return small.measure(archive, tokens, middle, bench.sized(2, 5), bench.runs)


def _clinic(bench: _Bench) -> Results:
    archive = bench.archive("clinic", tablet="clinical")
    return clinic.measure(archive, _PASSWORD, 6_000_000, bench.sized(5, 30)), []


def _slides(bench: _Bench) -> Results:
    archive = bench.archive("slides", laboratory="slide")
    token = archive.run("token", "create", "laboratory")
    size = bench.sized(256, 2048) * _MIB
    rows, ratios = laboratory.measure_upload(bench.folder, archive, token, size, bench.runs)
    source = bench.folder / "small.slide"
    large.make_file(source, _MIB)
    return rows + laboratory.measure_starts(archive, token, source, bench.sized(3, 20)), ratios


def _catalogues(bench: _Bench) -> Results:
    sizes = (1_000, 10_000) if bench.is_quick else (1_000, 100_000)
    archives = []
    for size in sizes:
        archives.append(bench.archive(f"machines{size}", cloud="machine"))
        catalogues.fill_machines(archives[-1].data, "cloud", size)
    rows, ratios = catalogues.measure_machines(archives[0], archives[1], sizes, bench.sized(3, 20))
    owned = (100, 1_000, sizes[1])
    names = {count: f"owner{count}" for count in owned}
    laboratories = bench.archive("slides", **dict.fromkeys(names.values(), "slide"))
    for count, name in names.items():
        catalogues.fill_slides(laboratories.data, name, count)
    tokens = {count: laboratories.run("token", "create", name) for count, name in names.items()}
    ids = {count: catalogues.id_of(laboratories.data, name) for count, name in names.items()}
    return rows + catalogues.measure_slides(laboratories, tokens, ids, bench.runs), ratios


def _jobs(bench: _Bench) -> Results:
    return jobs.measure(bench.archive("jobs"), bench.sized(100, 1_000), bench.sized(5, 20), bench.runs), []


def _viewing(bench: _Bench) -> Results:
    size = (12_800, 9_600) if bench.is_quick else (40_000, 30_000)
    seconds, runs = 2, bench.sized(1, 3)
    slide = bench.folder / "pictures" / "slide.tif"
    slide.parent.mkdir()
    pictures.make_slide(slide, *size)
    archive = bench.archive("slides", laboratory="slide")
    token = archive.run("token", "create", "laboratory")
    rows, image_id = viewing.measure_first_tile(archive, token, slide, size, runs)
    rows += viewing.measure_memory(archive, image_id, token, size)
    found = list(tiles.others(bench.folder / "peers", slide))
    theirs = [peer for peer in found if isinstance(peer, tiles.Server)]
    ours = [tiles.pinakes(archive, image_id, token, workers) for workers in (1, 2)]
    tiles.check_alike([*ours, *theirs], size)
    rates, ratios = tiles.measure(ours, theirs, size, seconds, runs)
    rows += rates + [peer for peer in found if isinstance(peer, report.Row)]
    photographs = pictures.make_photographs(bench.folder / "photographs", bench.sized(24, 200), 4_000, 3_000)
    small_rows, small_ratios = thumbnails.measure(
        bench.archive("clinic", tablet="clinical"), _PASSWORD, photographs, seconds, runs
    )
    return rows + small_rows, ratios + small_ratios


def _annotations(bench: _Bench) -> Results:
    archive = bench.archive("annotations", pathologist="slide")
    token = archive.run("token", "create", "pathologist")
    return annotations.measure(archive, token, bench.sized(20_000, 1_000_000), bench.sized(5, 100)), []


def _analysis(bench: _Bench) -> Results:
    size = (12_800, 9_600) if bench.is_quick else (40_000, 30_000)
    runs = bench.sized(1, 3)
    slide = bench.folder / "slide.tif"
    made = specimens.make_slide(slide, *size)
    rows, ratios = analysis.measure(slide, made, analysis.histolab(bench.folder / "histolab"), runs)
    archive = bench.archive("slides", laboratory="slide")
    token = archive.run("token", "create", "laboratory")
    whole, image = analysis_runs.measure_runs(archive, token, slide, size, runs)
    stops = analysis_runs.measure_stops(archive, token, image, bench.sized(2, 10))
    kills = analysis_runs.measure_kills(archive, token, image, bench.sized(2, 10))
    return [*rows, *whole, *stops, *kills], ratios


_PARTS: dict[str, Callable[[_Bench], Results]] = {
    "large": _large,
    "small": _small,
    "clinic": _clinic,
    "slides": _slides,
    "catalogues": _catalogues,
    "jobs": _jobs,
    "viewing": _viewing,
    "annotations": _annotations,
    "analysis": _analysis,
}

_TABLES: dict[str, Callable[[], str]] = {"accuracy": measuring_accuracy.table}
"""Parts that are not about speed, and make a table of their own."""


if __name__ == "__main__":
    main()
