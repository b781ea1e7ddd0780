"""Rows of results, and the table they are written to."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
_MARK = "<!-- measured below; written by `make bench` -->"
_PART = "## Measured: "


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. values: one figure a run, in `unit`; the median is what counts. None: it was not measured, and
    the note says why.
    """

    what: str
    who: str
    values: Sequence[float]
    unit: str
    peak_bytes: int = 0
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def line(self) -> str:
        if not self.values:
            return f"| {self.what} | {self.who} | not measured | | | {self.note} |"
        spread = f"{min(self.values):,.4g} to {max(self.values):,.4g}"
        memory = f"{self.peak_bytes / 1e6:.0f} MB" if self.peak_bytes else ""
        return f"| {self.what} | {self.who} | {self.median:,.4g} {self.unit} | {spread} | {memory} | {self.note} |"


def ratio(what: str, ours: Row, theirs: Row, target: str) -> str:
    """A line that compares two rows run by run, in the order in which they alternated."""
    pairs = [a / b for a, b in zip(ours.values, theirs.values, strict=True) if b]
    if not pairs:
        return f"| {what} | {ours.who} / {theirs.who} | not measured | | {target} |"
    spread = f"{min(pairs):.2f} to {max(pairs):.2f}"
    return f"| {what} | {ours.who} / {theirs.who} | {statistics.median(pairs):.2f} | {spread} | {target} |"


def conditions() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Linux {platform.release()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, "
        f"Python {platform.python_version()}. Server, peers and clients share the machine; "
        "every peer is measured in the same run, in turn with Pinakes. Medians are what to quote; "
        "ratios are taken pair by pair."
    )


def tables(rows: Sequence[Row], ratios: Sequence[str]) -> str:
    """The tables of one part."""
    lines = [
        "| what | who | median | from to | peak memory of one process | conditions |",
        "| --- | --- | --- | --- | --- | --- |",
        *(row.line() for row in rows),
    ]
    if ratios:
        lines += ["", "| what | who | median ratio | from to | target |", "| --- | --- | --- | --- | --- |", *ratios]
    return "\n".join(lines)


def write(part: str, text: str) -> None:
    """Put the tables of a part into RESULTS.md, in the place of its former ones."""
    head, _, written = RESULTS.read_text().partition(_MARK)
    kept = [section for section in written.split(_PART)[1:] if not section.startswith(f"{part}\n")]
    sections = [*kept, f"{part}\n\n{conditions()}\n\n{text}\n\n"]
    RESULTS.write_text(head + _MARK + "\n\n" + "".join(_PART + section for section in sections).rstrip() + "\n")
