"""`pinakes verify`, `sweep` and `migrate`: keeping an archive well."""

from typing import Annotated

import typer

from pinakes.cli import console
from pinakes.cli.session import Data, archive_of


def verify(data: Data = None) -> None:
    """Read and hash every blob. Exit status 1 if anything is missing, changed or miscounted.

    Each fault is a line on standard output: digest, key, what is wrong.
    """
    from pinakes.core.content.verify import Progress
    from pinakes.core.content.verify import verify as faults_of

    faults = 0
    reached = Progress(0, 0, 0, 0)

    def follow(now: Progress) -> None:
        nonlocal reached
        reached = now
        bar.reach(now.bytes, now.total_bytes)

    with archive_of(data) as archive, console.progress("verifying", 0) as bar:
        for fault in faults_of(archive.database, archive.store, follow):
            faults += 1
            console.result(f"{fault.digest}\t{fault.key or '-'}\t{fault.what}")
    console.note(f"{reached.blobs} blobs, {console.size(reached.bytes)} read, {faults} faults")
    if faults:
        raise typer.Exit(1)


def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be removed.")] = False,
    data: Data = None,
) -> None:
    """Remove what crashes and broken connections left behind, and what has expired."""
    from dataclasses import asdict

    from pinakes import config
    from pinakes.core.clock import SECOND
    from pinakes.core.content.sweep import Sweep

    settings = config.load(data=data)
    with archive_of(data) as archive:
        min_age_us = round(settings.sweep_min_age_seconds * SECOND)
        report = Sweep(archive.database, archive.store, archive.clock, min_age_us=min_age_us).run(dry_run=dry_run)
        if not dry_run:
            archive.slide_uploads.sweep()
    console.table(("WHAT", "COUNT"), [(name.replace("_", " "), count) for name, count in asdict(report).items()])
    console.note("nothing was removed: this was a dry run" if dry_run else "swept")


def migrate(data: Data = None) -> None:
    """Bring the database to the schema of this version of Pinakes. Make a backup first."""
    from pinakes import config, opening

    before, after = opening.bring_up_to_date(config.load(data=data))
    if before == after:
        console.note(f"the database has schema {after} already")
    else:
        console.note(f"the database was brought from schema {before or 'none'} to {after}")
