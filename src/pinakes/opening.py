"""From settings to an open archive. What fails on the way becomes one line that tells the operator what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import ArgumentError, DBAPIError

from pinakes.config import Settings
from pinakes.core.archive import Archive, assemble
from pinakes.core.content.store import ContentStore
from pinakes.core.content.stores import S3Options, open_store
from pinakes.core.db import migrate
from pinakes.core.db.engine import Database
from pinakes.core.errors import DatabaseUnavailable, PinakesError, SchemaMismatch, StorageFull, StoreUnavailable
from pinakes.failures import Failed

_FOLDER_MODE = 0o700


class OpeningFailed(Failed):
    """The archive cannot be opened; the message says why and holds no secret."""


def open_archive(settings: Settings) -> Archive:
    """Open the archive, its schema seen to (see `core.db.migrate`). Raises OpeningFailed.

    A content store that is reached over a network is not asked yet; `check` does that.
    """
    database = open_database(settings)
    try:
        with _explained():
            migrate.ensure_schema(database, settings.migrates)
        store = _open_store(settings)
    except BaseException:
        database.close()
        raise
    return assemble(
        database,
        store,
        journal_directory=settings.journals,
        max_upload_bytes=settings.max_upload_bytes,
        reserve_bytes=settings.reserve_bytes,
    )


@contextmanager
def opened(settings: Settings) -> Iterator[Archive]:
    """The same for a block; what is pending is written at its end."""
    archive = open_archive(settings)
    try:
        yield archive
    finally:
        archive.close()


def open_database(settings: Settings) -> Database:
    """Open the database as it is, after making the data folder. Raises OpeningFailed."""
    _make_folder(settings.data)
    settings.scratch.mkdir(_FOLDER_MODE, exist_ok=True)
    try:
        return Database(settings.database, pool_size=settings.database_connections)
    except (ArgumentError, ValueError) as exc:
        raise OpeningFailed("PINAKES_DATABASE_URL: is not the URL of a database") from exc


def bring_up_to_date(settings: Settings) -> tuple[str | None, str]:
    """Migrate the database; its revisions before and after. Raises OpeningFailed."""
    database = open_database(settings)
    try:
        with _explained():
            return migrate.migrate(database)
    finally:
        database.close()


def check(archive: Archive) -> None:
    """Raises OpeningFailed if the content store cannot be reached or written to."""
    with _explained():
        archive.store.check()


def _open_store(settings: Settings) -> ContentStore:
    secret = settings.s3_secret_key
    s3 = S3Options(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=secret.get_secret_value() if secret else None,
        virtual_hosted=settings.s3_virtual_hosted,
    )
    try:
        with _explained():
            return open_store(settings.store, s3=s3)
    except ValueError as exc:
        raise OpeningFailed(f"PINAKES_STORE_URL: {exc}") from exc


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        with _probe(path / ".writable"):
            pass
    except OSError as exc:
        raise OpeningFailed(f"the data folder {path} cannot be used: {exc.strerror}") from exc


@contextmanager
def _probe(path: Path) -> Iterator[None]:
    path.touch()
    yield
    path.unlink(missing_ok=True)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except SchemaMismatch as exc:
        raise OpeningFailed(exc.message) from exc
    except DatabaseUnavailable as exc:
        raise OpeningFailed(f"the database cannot be opened: {_reason(exc)}") from exc
    except (StoreUnavailable, StorageFull) as exc:
        raise OpeningFailed(f"the content store cannot be used: {_reason(exc)}") from exc
    except PinakesError as exc:
        raise OpeningFailed(exc.message) from exc


def _reason(error: PinakesError) -> str:
    """The first line of what the driver or the system said. Drivers name the host and the user, never the password."""
    cause = error.__cause__
    if isinstance(cause, DBAPIError):
        cause = cause.orig
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    first = str(cause or error).strip().partition("\n")[0]
    return first or error.message
