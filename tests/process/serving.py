"""A real `pinakes serve` in processes of its own, over whichever database and store a test was given."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pinakes.core import clock
from pinakes.core.access.credentials import Credentials
from pinakes.core.access.users import Users
from pinakes.core.actor import Actor, Kind
from pinakes.core.readtrail import ReadTrail
from tests.conftest import Backend
from tests.servers import free_ports

PINAKES = str(Path(sys.executable).parent / "pinakes")
ARMED = str(Path(__file__).parent / "armed")
_PATIENCE_SECONDS = 60


class ServerGone(Exception):
    """The server did not live to answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a server answered."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Archive:
    """A place with data, the command line over it, and a server that comes and goes.

    settings: `PINAKES_...` variables beyond those of the backend.
    """

    backend: Backend
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: "subprocess.Popen[bytes] | None" = None

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PINAKES_")}
        kept |= {
            "PINAKES_DATA": str(self.folder / "var"),
            "PINAKES_DATABASE_URL": self.backend.database_url,
            "PINAKES_STORE_URL": self.backend.store_url,
            "PINAKES_AUTO_MIGRATE": "true",
            "PINAKES_RESERVE_BYTES": "0",
            "PINAKES_SWEEP_EVERY_SECONDS": "0",
        }
        if self.backend.s3_options is not None:
            options = self.backend.s3_options
            kept |= {
                "PINAKES_S3_ENDPOINT": str(options.endpoint),
                "PINAKES_S3_REGION": options.region,
                "PINAKES_S3_ACCESS_KEY": str(options.access_key),
                "PINAKES_S3_SECRET_KEY": str(options.secret_key),
            }
        return kept | dict(self.settings)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """What a command prints; raises if it fails."""
        done = self.attempt(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def attempt(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        command = [PINAKES, *arguments]
        return subprocess.run(command, env=self.environment(), input=stdin, capture_output=True, text=True)

    def add_user(self, name: str, *kinds: Kind) -> str:
        """Make a user, straight in the database; a token of theirs."""
        database = self.backend.database
        actor = Actor(api="cli")
        Users(database, clock.now).add(actor, name, f"{name}@example.org", None, kinds)
        credentials = Credentials(database, ReadTrail(database, self.folder / "journals"), clock.now)
        return credentials.create(actor, name, scope=None, expires_at=None, label="")

    def start(self, *, workers: int = 1, more: Mapping[str, str] | None = None, options: Sequence[str] = ()) -> None:
        command = [PINAKES, "serve", "--port", str(self.port), "--workers", str(workers), *options]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment() | dict(more or {}), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.wait_until_ready()

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(_PATIENCE_SECONDS)

    def wait_until_dead(self) -> None:
        """Until the process is gone and nobody answers on its port."""
        assert self.process is not None
        self.process.wait(_PATIENCE_SECONDS)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.is_answering():
            assert time.monotonic() < deadline, "somebody still answers on the port of a killed server"
            time.sleep(0.02)

    def is_answering(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def workers(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        """One request on a connection of its own. Raises ServerGone."""
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
                return Answered(answer.status, answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Answered(refused.code, refused.read())
        except (OSError, http.client.HTTPException) as exc:
            raise ServerGone from exc

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(ServerGone):
                if self.ask("GET", "/readyz").status == 200:
                    return
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
