"""From settings to an open archive. What fails on the way becomes one line that tells the operator what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.exc import ArgumentError, DBAPIError

from pinakes.config import Settings
from pinakes.core.analysis.analyser import AnalysisOptions
from pinakes.core.archive import Archive, CacheLimits, assemble
from pinakes.core.content import blobs
from pinakes.core.content.inbox import Inbox, InboxOptions
from pinakes.core.content.store import ContentStore
from pinakes.core.content.stores import S3Options, open_inbox, open_store
from pinakes.core.db import migrate
from pinakes.core.db.engine import Database
from pinakes.core.errors import DatabaseUnavailable, PinakesError, SchemaMismatch, StorageFull, StoreUnavailable
from pinakes.core.imports.transfer import ImportLimits
from pinakes.core.presigned.signatures import KeyPair
from pinakes.core.slides.uploads import UploadOptions
from pinakes.failures import Failed
from pinakes.imaging.analysis.process import AnalysisBounds, AnalysisProcess
from pinakes.imaging.decoding.pool import DecodingPool
from pinakes.imaging.decoding.requests import Bounds

_FOLDER_MODE = 0o700


class OpeningFailed(Failed):
    """The archive cannot be opened; the message says why and holds no secret."""


def open_archive(settings: Settings, *, analyses: bool = False) -> Archive:
    """Open the archive, its schema seen to (see `core.db.migrate`). Raises OpeningFailed.

    analyses: whether predictions can be computed in this process, as only workers do.
    A content store that is reached over a network is not asked yet; `check` does that.
    """
    database = open_database(settings)
    try:
        with _explained():
            migrate.ensure_schema(database, settings.migrates)
        store = _open_store(settings, database)
        inbox = _open_inbox(settings)
        upload_options = _upload_options(settings)
    except BaseException:
        database.close()
        raise
    return assemble(
        database,
        store,
        journal_directory=settings.journals,
        max_upload_bytes=None if settings.max_upload_bytes is None else int(settings.max_upload_bytes),
        reserve_bytes=settings.reserve_bytes,
        reserved_tags=[name.strip() for name in settings.reserved_tags.split(",") if name.strip()],
        max_annotation_bytes=settings.annotation_max_bytes,
        upload_options=upload_options,
        inbox=inbox,
        cache_directory=settings.cache,
        cache_limits=CacheLimits(
            int(settings.rendition_cache_bytes), int(settings.copy_cache_bytes), int(settings.region_cache_bytes)
        ),
        decoder=_decoder(settings),
        analysis=_analysis(settings) if analyses else None,
        import_limits=ImportLimits(
            allowed=settings.import_allow,
            total_seconds=settings.import_timeout_seconds,
            idle_seconds=settings.import_idle_seconds,
            max_bytes=settings.import_max_bytes,
            known_hosts=settings.import_known_hosts,
        ),
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


def _open_store(settings: Settings, database: Database) -> ContentStore:
    """A folder is made for a new archive only: a volume that is not mounted must not be taken for an empty store."""
    try:
        with _explained():
            with database.read() as connection:
                has_content = bool(blobs.after(connection, "", 1))
            return open_store(settings.store, s3=_s3_options(settings), makes=not has_content)
    except ValueError as exc:
        raise OpeningFailed(f"PINAKES_STORE_URL: {exc}") from exc


def _open_inbox(settings: Settings) -> Inbox | None:
    """Where clients put slides themselves, if that is wanted and the content store is a bucket."""
    if settings.upload_direct is False:
        return None
    options = InboxOptions(settings.upload_direct_signature, settings.upload_direct_names_file)
    inbox = open_inbox(settings.store, s3=_s3_options(settings), options=options)
    if inbox is None and settings.upload_direct:
        raise OpeningFailed("PINAKES_UPLOAD_DIRECT: the content store is not a bucket")
    return inbox


def _decoder(settings: Settings) -> DecodingPool:
    """Nothing is started before the first picture is asked for, or `Renditions.start` is called."""
    bounds = Bounds(memory_bytes=int(settings.decoding_memory_bytes), seconds=settings.decoding_seconds)
    return DecodingPool(settings.decoding_processes, bounds)


def _analysis(settings: Settings) -> AnalysisOptions:
    bounds = AnalysisBounds(
        memory_bytes=int(settings.analysis_memory_bytes),
        seconds=settings.analysis_seconds,
        uses_gpu=settings.analysis_gpu,
    )
    return AnalysisOptions(
        partial(AnalysisProcess.start, bounds), settings.analysis_process_count, settings.analysis_runs
    )


def _s3_options(settings: Settings) -> S3Options:
    return S3Options(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=_revealed(settings.s3_secret_key),
        virtual_hosted=settings.s3_virtual_hosted,
    )


def _upload_options(settings: Settings) -> UploadOptions:
    pairs = [
        _key_pair("UPLOAD", settings.upload_access_key, settings.upload_secret_key),
        _key_pair("UPLOAD_PREVIOUS", settings.upload_previous_access_key, settings.upload_previous_secret_key),
    ]
    if pairs[0] is None and pairs[1] is not None:
        raise OpeningFailed("PINAKES_UPLOAD_PREVIOUS_ACCESS_KEY: there is no present key beside it")
    return UploadOptions(
        bucket=settings.upload_bucket,
        region=settings.upload_region,
        key_pairs=tuple(pair for pair in pairs if pair is not None),
        max_bytes=int(settings.upload_max_bytes),  # a ByteSize, which JSON encoders do not take
        most_at_once=settings.upload_most_at_once,
        max_seconds=settings.upload_max_seconds,
    )


def _key_pair(name: str, access_key: str | None, secret_key: SecretStr | None) -> KeyPair | None:
    secret = _revealed(secret_key)
    if (access_key is None) != (secret is None):
        raise OpeningFailed(f"PINAKES_{name}_ACCESS_KEY and PINAKES_{name}_SECRET_KEY go together")
    return KeyPair(access_key, secret) if access_key is not None and secret is not None else None


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


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
