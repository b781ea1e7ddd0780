"""Running commands: in this process, on both kinds of archive, with everything they print."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pinakes import config, opening
from pinakes.cli import main
from pinakes.config import PREFIX
from pinakes.core.archive import Archive
from tests.conftest import Backend


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def result(self) -> str:
        """The one line on standard output of a command that succeeded."""
        assert self.status == 0, self.err
        (line,) = self.text.splitlines()
        return line

    @property
    def rows(self) -> list[list[str]]:
        """The lines of a list, by columns."""
        assert self.status == 0, self.err
        return [line.split("\t") for line in self.text.splitlines()]

    @property
    def failure(self) -> str:
        """The one line on standard error of a command that failed, without the program's name."""
        assert self.status == 1
        (line,) = self.err.splitlines()
        assert line.startswith("pinakes: ")
        return line.removeprefix("pinakes: ")


Run = Callable[..., Outcome]


def without_options(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.upper().startswith(PREFIX)}


@pytest.fixture
def environment(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The options of an archive, in the environment."""
    for name in os.environ.keys() - without_options(dict(os.environ)).keys():
        monkeypatch.delenv(name)
    options = {
        "DATA": str(tmp_path / "var"),
        "DATABASE_URL": backend.database_url,
        "STORE_URL": backend.store_url,
        "SWEEP_MIN_AGE_SECONDS": "0.001",
    }
    if backend.s3_options is not None:
        s3 = backend.s3_options
        options |= {
            "S3_ENDPOINT": s3.endpoint or "",
            "S3_ACCESS_KEY": s3.access_key or "",
            "S3_SECRET_KEY": s3.secret_key or "",
        }
    for name, value in options.items():
        monkeypatch.setenv(PREFIX + name, value)


@pytest.fixture
def archive(environment: None) -> Iterator[Archive]:
    """The archive that the commands work on."""
    with opening.opened(config.load()) as opened:
        yield opened


@pytest.fixture
def pinakes(environment: None, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs `pinakes ...`."""

    def run(*arguments: object, stdin: bytes = b"") -> Outcome:
        capfdbinary.readouterr()
        monkeypatch.setattr(sys, "argv", ["pinakes", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            main()
            status = 0
        except SystemExit as exc:
            status = int(exc.code or 0)
        out, err = capfdbinary.readouterr()
        return Outcome(status, out, err.decode())

    return run


@pytest.fixture
def user(pinakes: Run) -> str:
    """A user of both kinds."""
    arguments = (
        "user",
        "add",
        "anna",
        "--email",
        "anna@example.org",
        "--kinds",
        "machine,clinical",
        "--password-stdin",
    )
    assert pinakes(*arguments, stdin=b"correct horse\n").status == 0
    return "anna"
