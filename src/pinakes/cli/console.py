"""Printing: results alone on standard output, all else on standard error."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinakes.core.clock import Instant

_UNITS = ("B", "kB", "MB", "GB", "TB")


def result(value: object) -> None:
    """Print an id or a token, alone on its line."""
    sys.stdout.write(f"{value}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Tell what was done."""
    sys.stderr.write(f"{text}\n")


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows for people at a terminal; for programs one line each without a head, columns separated by tabs."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        sys.stdout.writelines("\t".join(row) + "\n" for row in cells)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*heads, box=None, pad_edge=False)
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    Console().print(drawn)


def printable(text: str) -> str:
    """The text with control characters written out: a name is not to move the cursor, nor to begin another column."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def moment(at: "Instant | None") -> str:
    """An instant in UTC to the second; empty for none."""
    from pinakes.core.clock import to_datetime

    return "" if at is None else to_datetime(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def size(count: int) -> str:
    """A number of bytes as people read it, in decimal units."""
    value = float(count)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


class Bar:
    """A progress bar that can be told how far the work has come."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0

    def advance(self, count: int) -> None:
        self.done += count
        self._show()

    def reach(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        self._show()

    def _show(self) -> None:
        """Nothing where nobody looks."""


@contextmanager
def progress(what: str, total: int) -> Iterator[Bar]:
    """A progress bar in bytes on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(printable(what), total=total)

        class Drawn(Bar):
            def _show(self) -> None:
                drawn.update(task, completed=self.done, total=self.total or total)

        yield Drawn()
