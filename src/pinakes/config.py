"""Every option of Pinakes: its name, type, default and unit. Entrances read them once; the core is given values.

An option `x` is read from the environment variable `PINAKES_X`. An empty variable counts as not set. A variable that
begins with PINAKES_ and is not an option stops the program. The same table for people: docs/operations.md.
"""

import os
import re
from datetime import UTC, tzinfo
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    ByteSize,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic import field_validator as validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "PINAKES_"
MIB = 1024 * 1024

NOWHERE = "off"
"""The value of a path or host option that takes an API off it."""

_HOST_NAME = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?"
)
_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_PATH = re.compile(r"/|(?:/[A-Za-z0-9._~-]+)+")

Network = IPv4Network | IPv6Network


class SettingsInvalid(Exception):
    """One or more options are unknown or have a bad value. `problems` holds a line for each, without the value."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class Settings(BaseSettings):
    """All options. Immutable; safe to hand to another process, since secrets are not shown when it is printed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, hide_input_in_errors=True
    )

    # -- Where things are --------------------------------------------------------------------------------------
    data: Path = Field(Path("var"), description="Folder of everything kept locally: database, images, journals.")
    database_url: str | None = Field(
        None,
        repr=False,
        description="Database, `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`. Default: SQLite in `data`.",
    )
    database_connections: PositiveInt = Field(
        16, description="Connections that each worker keeps to PostgreSQL; ten more are opened in a rush."
    )
    auto_migrate: bool | None = Field(
        None,
        description="Whether an older schema is brought up to date on start. Default: on SQLite, not on PostgreSQL.",
    )
    store_url: str | None = Field(
        None,
        description="Content store as `disk:///PATH` or `s3://BUCKET/PREFIX`. Default: the folder `blobs` in `data`.",
    )
    s3_endpoint: str | None = Field(
        None, description="Address of the S3 server, `http://HOST:PORT`. Default: Amazon's."
    )
    s3_region: str = Field("us-east-1", description="Region that requests to S3 are signed for.")
    s3_access_key: str | None = Field(None, repr=False, description="Access key id for S3.")
    s3_secret_key: SecretStr | None = Field(None, description="Secret key for S3.")
    s3_virtual_hosted: bool = Field(False, description="Whether the bucket is a part of the S3 server's host name.")

    # -- How slides come in ------------------------------------------------------------------------------------
    upload_access_key: str | None = Field(
        None, repr=False, description="Access key id of the forms that upload slides. Default: made up once."
    )
    upload_secret_key: SecretStr | None = Field(None, description="Secret key that signs these forms.")
    upload_previous_access_key: str | None = Field(
        None, repr=False, description="Access key id whose forms are still believed after a change of keys."
    )
    upload_previous_secret_key: SecretStr | None = Field(None, description="Secret key of those.")
    upload_region: str = Field("us-east-1", description="Region that these forms are signed for.")
    upload_bucket: str = Field("pinakes", description="Bucket into which they are posted, `/S3/BUCKET`.")
    upload_max_bytes: ByteSize = Field(
        ByteSize(20 * 1024 * MIB),
        gt=0,
        description="Largest slide taken, in bytes; straight to a bucket at most 5 GiB.",
    )
    upload_max_seconds: PositiveInt = Field(
        12 * 3600, description="Seconds that one form with a slide may take in all."
    )
    upload_most_at_once: PositiveInt = Field(
        8, description="Forms with slides of one user that each worker takes at once; others are told to slow down."
    )
    upload_direct: bool | None = Field(
        None, description="Whether slides go straight to the S3 bucket. Default: if the content store is one."
    )
    upload_direct_signature: Literal["s3v4", "s3"] = Field(
        "s3v4", description="Signature version of forms for the S3 bucket; `s3` for buckets made before July 2020."
    )
    upload_direct_names_file: bool | None = Field(
        None, description="Whether these forms allow the field `upload_file`. Default: at Amazon's, where it is needed."
    )

    # -- How it is reached -------------------------------------------------------------------------------------
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str | None = Field(
        None,
        description="Address clients use, `https://archive.example`, for links in answers. Default: as requests say.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="Networks whose `X-Forwarded-*` headers are believed, as CIDRs separated by commas."
    )
    tscharts_path: str | None = Field("/tscharts/v1", description="Path of the tscharts API; `off` for none.")
    tscharts_host: str | None = Field(None, description="Host name whose root is the tscharts API.")
    djinn_path: str | None = Field("/djinn", description="Path of the Djinn CI API; `off` for none.")
    djinn_host: str | None = Field(None, description="Host name whose root is the Djinn CI API.")
    atmosphere_path: str | None = Field(
        "/", description="Path below which the Atmosphere API has its `/api/v2`, `/auth` and `/images`; `off` for none."
    )
    atmosphere_host: str | None = Field(None, description="Host name whose root is the Atmosphere API.")
    pathomiq_path: str | None = Field(
        "/", description="Path below which the PathomIQ API has its `/Images`, `/S3` and others; `off` for none."
    )
    pathomiq_host: str | None = Field(None, description="Host name whose root is the PathomIQ API.")
    native_path: str | None = Field("/pinakes/v1", description="Path of Pinakes' own API; `off` for none.")
    native_host: str | None = Field(None, description="Host name whose root is Pinakes' own API.")
    iiif_path: str | None = Field("/iiif", description="Path of the IIIF API, which shows pictures; `off` for none.")
    iiif_host: str | None = Field(None, description="Host name whose root is the IIIF API.")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Web origins whose pages may call the APIs, such as `https://lab.example`, separated by commas."
    )
    session_seconds: PositiveInt = Field(
        12 * 3600, le=366 * 24 * 3600, description="Seconds after which a login of a browser ends."
    )

    # -- How much it takes -------------------------------------------------------------------------------------
    max_upload_bytes: ByteSize | None = Field(
        None, gt=0, description="Largest image taken, in bytes; units as in `20GiB` may be used. Default: no limit."
    )
    max_json_bytes: ByteSize = Field(ByteSize(64 * MIB), gt=0, description="Largest JSON body taken, in bytes.")
    annotation_max_bytes: ByteSize = Field(
        ByteSize(64 * MIB), gt=0, description="Largest annotation of a slide taken, in bytes."
    )
    reserve_bytes: ByteSize = Field(
        ByteSize(256 * MIB),
        ge=0,
        description="Bytes of the disk that stay free; what would not fit beside them is refused.",
    )

    # -- What it shows -----------------------------------------------------------------------------------------
    decoding_processes: PositiveInt = Field(
        2,
        le=64,
        description="Processes that decode pictures, of each worker; about 80 MB each while they have nothing to do.",
    )
    decoding_memory_bytes: ByteSize = Field(
        ByteSize(2048 * MIB), ge=256 * MIB, description="Address space that each of these may take, in bytes."
    )
    decoding_seconds: PositiveFloat = Field(
        30, description="Seconds that one of these may take for one picture or description, then it is replaced."
    )
    rendition_cache_bytes: ByteSize = Field(
        ByteSize(4096 * MIB), ge=0, description="Bytes of encoded pictures kept in `data`; 0 for none."
    )
    copy_cache_bytes: ByteSize = Field(
        ByteSize(32 * 1024 * MIB),
        gt=0,
        description="Bytes of images that are kept in `data` for decoding if the content store is a bucket; a larger "
        "one is not shown.",
    )
    region_cache_bytes: ByteSize = Field(
        ByteSize(2048 * MIB),
        gt=0,
        description="Bytes kept in `data` of where the regions of annotations lie; an annotation with more is not "
        "searched.",
    )

    # -- What it predicts --------------------------------------------------------------------------------------
    analysis_processes: PositiveInt | None = Field(
        None, le=64, description="Processes that compute one prediction. Default: one a core, at most 4."
    )
    analysis_runs: PositiveInt = Field(
        2, le=1000, description="Predictions that are computed at once, over all workers; more for more machines."
    )
    analysis_memory_bytes: ByteSize = Field(
        ByteSize(4096 * MIB), ge=512 * MIB, description="Address space that each of these may take, in bytes."
    )
    analysis_seconds: PositiveFloat = Field(
        300, description="Seconds that one of these may take to open a slide, or to score some tiles of it."
    )
    analysis_gpu: bool = Field(
        False, description="Whether networks run on the GPU, if there is one and ONNX Runtime was installed for it."
    )

    # -- What it fetches ---------------------------------------------------------------------------------------
    import_allow: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="Networks that images may be imported from although they are not public, as CIDRs separated by "
        "commas.",
    )
    import_timeout_seconds: PositiveFloat = Field(600, description="Seconds that one import by URL may take.")
    import_idle_seconds: PositiveFloat = Field(
        60, description="Seconds that the server imported from may keep silent before the import is given up."
    )
    import_max_bytes: ByteSize | None = Field(
        None, gt=0, description="Largest image imported by URL, in bytes. Default: no limit but that of every upload."
    )
    import_known_hosts: Path | None = Field(
        None,
        description="File of SSH host keys as OpenSSH writes it; imports by sftp go only to servers in it. Default: "
        "any host key is accepted.",
    )

    # -- What it keeps -----------------------------------------------------------------------------------------
    reserved_tags: str = Field(
        "Featured", description="Tags that only staff may put on machine images, in any case, separated by commas."
    )

    # -- How it runs -------------------------------------------------------------------------------------------
    workers: PositiveInt | None = Field(None, le=256, description="Worker processes. Default: one a core, at most 4.")
    threads: PositiveInt = Field(16, le=1024, description="Threads of each worker for waiting on disks and databases.")
    connections: PositiveInt = Field(
        1024, description="Client connections that each worker serves at once; others wait."
    )
    shutdown_seconds: PositiveInt = Field(
        30, description="Seconds that requests being answered are given to end when the server is stopped."
    )
    sweep_every_seconds: NonNegativeFloat = Field(
        3600, description="Seconds between two sweeps of what crashes left behind, more or less a tenth; 0 for none."
    )
    sweep_min_age_seconds: PositiveFloat = Field(
        3600, description="Seconds that an object nobody refers to is left alone, since its upload may be going on."
    )
    job_workers: NonNegativeInt = Field(
        1, le=64, description="Worker processes for long work that a server starts; 0 for none."
    )
    job_threads: PositiveInt = Field(16, le=256, description="Jobs that each of these does at once.")
    job_takeover_seconds: PositiveFloat = Field(
        30, description="Seconds without a sign of life after which the jobs of a worker elsewhere are taken over."
    )
    job_keep_seconds: NonNegativeFloat = Field(
        2592000, description="Seconds that jobs are listed after their end; 0 for ever."
    )
    time_zone: str = Field("UTC", description="Time zone in which `today` is judged, such as `America/Tijuana`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least grave messages logged.")
    access_log: bool = Field(False, description="Whether each request is logged: method, API, status, time, bytes.")

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'pinakes.db'}"

    @property
    def store(self) -> str:
        """The URL of the content store."""
        return self.store_url or f"disk://{self.data.absolute() / 'blobs'}"

    @property
    def journals(self) -> Path:
        """The folder of what must survive a killed process until it is in the database."""
        return self.data.absolute() / "journals"

    @property
    def cache(self) -> Path:
        """The folder of what can be made again, which may be deleted at any time."""
        return self.data.absolute() / "cache"

    @property
    def scratch(self) -> Path:
        """The folder of nameless files that last no longer than a request."""
        return self.data.absolute() / "scratch"

    @property
    def migrates(self) -> bool:
        """Whether a server may bring an older schema up to date."""
        return self.database.startswith("sqlite") if self.auto_migrate is None else self.auto_migrate

    @property
    def worker_count(self) -> int:
        return self.workers or min(4, os.cpu_count() or 1)

    @property
    def analysis_process_count(self) -> int:
        return self.analysis_processes or min(4, os.cpu_count() or 1)

    @property
    def zone(self) -> tzinfo:
        return _zone(self.time_zone)

    def path_of(self, api: str) -> str | None:
        """Under which path an API is mounted, None for none; the root is the empty text."""
        path = self._mount(api, "path")
        return None if path is None else path.rstrip("/")

    def host_of(self, api: str) -> str | None:
        """The host name whose root is an API, in lower case; None for none."""
        host = self._mount(api, "host")
        return None if host is None else host.lower()

    def _mount(self, api: str, part: str) -> str | None:
        value: str | None = getattr(self, f"{api}_{part}")
        return None if value in (None, NOWHERE) else value

    @validator("data")
    @classmethod
    def _check_data(cls, value: Path) -> Path:
        if "?" in str(value) or "\0" in str(value):
            raise ValueError("must not hold a question mark")  # it would end the path in a database URL
        return value.expanduser()

    @validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"sqlite:///.|postgres(ql)?(\+psycopg)?://", value):
            raise ValueError("must begin with sqlite:/// and a path, or with postgresql://")
        return value

    @validator("store_url")
    @classmethod
    def _check_store_url(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"disk:///.|s3://[^/]+", value):
            raise ValueError("must be disk:///PATH or s3://BUCKET/PREFIX")
        return value

    @validator("upload_access_key", "upload_previous_access_key", "upload_region")
    @classmethod
    def _check_credential_part(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9._~+=-]{1,128}", value):
            raise ValueError("must be letters, digits and . _ ~ + = -")  # a slash would end it in a credential
        return value

    @validator("upload_bucket")
    @classmethod
    def _check_bucket(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9-]{3,63}", value) or value in ("file", "raw"):
            raise ValueError("must be 3 to 63 of a-z, 0-9 and -, and neither file nor raw")
        return value

    @validator("s3_endpoint", "public_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.fragment
            or parts.username
        ):
            raise ValueError("must be an http:// or https:// address without query or user name")
        return value.rstrip("/")

    @validator("trusted_proxies", "import_allow", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return tuple(ip_network(item.strip()) for item in value.split(",") if item.strip())
        except ValueError:
            raise ValueError("must be networks such as 10.0.0.0/8, separated by commas") from None

    @validator("allowed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        origins = tuple(item.strip().rstrip("/").lower() for item in value.split(",") if item.strip())
        if not all(_ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError("must be origins such as https://lab.example, separated by commas")
        return origins

    @validator("tscharts_path", "djinn_path", "atmosphere_path", "pathomiq_path", "native_path", "iiif_path")
    @classmethod
    def _check_path(cls, value: str | None) -> str | None:
        if value not in (None, NOWHERE) and not _PATH.fullmatch(str(value)):
            raise ValueError("must begin with / and hold only letters, digits, and . _ ~ -; or be `off`")
        return value

    @validator("tscharts_host", "djinn_host", "atmosphere_host", "pathomiq_host", "native_host", "iiif_host")
    @classmethod
    def _check_host(cls, value: str | None) -> str | None:
        if value is not None and not _HOST_NAME.fullmatch(value):
            raise ValueError("must be a host name, with a port or without")
        return value

    @validator("time_zone")
    @classmethod
    def _check_zone(cls, value: str) -> str:
        try:
            _zone(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is not a time zone this machine knows") from None
        return value


def load(**given: Any) -> Settings:
    """The settings of this process: options given here, then the environment, then the defaults.

    An option given as None counts as not given. Raises SettingsInvalid.
    """
    unknown = [name for name in os.environ if name.upper().startswith(PREFIX) and not _is_option(name)]
    if unknown:
        raise SettingsInvalid([f"{name} is not an option of Pinakes" for name in sorted(unknown)])
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as exc:
        raise SettingsInvalid([_problem(error) for error in exc.errors(include_input=False)]) from None


def _is_option(variable: str) -> bool:
    return variable[len(PREFIX) :].lower() in Settings.model_fields


def _problem(error: Any) -> str:
    option = ".".join(str(part) for part in error["loc"][:1])
    return f"{PREFIX}{option.upper()}: {error['msg'].removeprefix('Value error, ')}"


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
