"""Fetching over sftp from a real server (djinn contract 7)."""

import gc
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncssh
import pytest

from pinakes.core.imports.transfer import FetchFailed, ImportLimits
from tests.core.imports.fetched import LIMITS, Kept, Stopped, fetch, impatient, naming, stop_after
from tests.core.imports.serving import (
    PASSWORD,
    USER,
    EndlessFiles,
    SftpServer,
    ShortFiles,
    SlowFiles,
    StalledFiles,
    sftp_server,
)

BODY = bytes(range(256)) * 9000
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "a b.qcow2").write_bytes(BODY)
    (folder / "dir").mkdir()
    return folder


@pytest.fixture
def server(root: Path) -> Iterator[SftpServer]:
    with sftp_server(root) as running:
        yield running


def url(server: SftpServer, path: str = "/a%20b.qcow2", *, login: str = LOGIN, host: str = "127.0.0.1") -> str:
    return f"sftp://{login}@{host}:{server.port}{path}"


def failure(text: str, **options: Any) -> str:
    with pytest.raises(FetchFailed) as caught:
        fetch(text, **options)
    return str(caught.value)


def test_a_file_comes_as_it_lies_there(server: SftpServer) -> None:
    kept = fetch(url(server))
    assert (bytes(kept.content), kept.expected) == (BODY, [len(BODY)])


def test_nothing_but_the_password_is_offered(
    server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither keys in the home folder nor settings there are used: the server would take any key."""
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True)
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(ssh / "id_ed25519"))
    (ssh / "config").write_text("Host *\n  User root\n  Port 1\n  PreferredAuthentications publickey\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert bytes(fetch(url(server)).content) == BODY
    assert set(server.accepted) == {"password"}


def test_a_wrong_password_is_told(server: SftpServer) -> None:
    expected = "The server did not accept the user name and password."
    assert failure(url(server, login=f"{USER}:wrong")) == expected
    assert failure(url(server, login="ben:wrong")) == expected


@pytest.mark.parametrize("path", ["/missing", "/dir/missing", "/../../../etc/passwd", "/a%20b.qcow2/x", "/dir"])
def test_a_file_that_is_not_there_is_told(server: SftpServer, path: str) -> None:
    assert failure(url(server, path)).startswith("The server ")


def test_a_host_key_that_is_not_known_is_refused_before_the_password_is_sent(
    server: SftpServer, tmp_path: Path
) -> None:
    known, unknown = tmp_path / "known", tmp_path / "unknown"
    known.write_text(server.known_hosts)
    other_key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    unknown.write_text(f"[127.0.0.1]:{server.port} {other_key}")
    assert bytes(fetch(url(server), limits=replace(LIMITS, known_hosts=known)).content) == BODY
    server.accepted.clear()
    text = failure(url(server), limits=replace(LIMITS, known_hosts=unknown))
    assert text == "The server's key is not among the known ones."
    assert server.accepted == []
    text = failure(url(server), limits=replace(LIMITS, known_hosts=tmp_path / "missing"))
    assert text == "The archive's own list of known servers cannot be read."


def test_7_5_loopback_is_refused_and_every_address_of_a_name_counts(server: SftpServer) -> None:
    refused = "The host has an address that may not be fetched from."
    assert failure(url(server), limits=ImportLimits(total_seconds=5)) == refused
    several = naming("127.0.0.1", "169.254.169.254")
    assert failure(url(server, host="several.example"), resolver=several) == refused
    assert server.accepted == []
    assert bytes(fetch(url(server, host="one.example"), resolver=naming("127.0.0.1")).content) == BODY


def test_a_server_that_speaks_something_else_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        text = failure(f"sftp://{LOGIN}@127.0.0.1:{port}/x", limits=impatient(idle_seconds=0.5))
        assert text == "The server kept silent for 0.5 seconds."
    assert failure(f"sftp://{LOGIN}@127.0.0.1:{port}/x") == "The server could not be reached."


def test_a_user_name_that_ssh_cannot_say_is_told(server: SftpServer) -> None:
    assert failure(url(server, login="%EF%BF%BEx:secret")).startswith("The server ")


def test_compression_is_not_agreed_to(root: Path) -> None:
    """A packet of zeros unfolds to a thousand times its size, in memory."""
    with sftp_server(root, compression_algs=["zlib@openssh.com"]) as server:
        assert failure(url(server)) == "The server does not speak sftp, or the connection to it broke."
    assert server.accepted == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (EndlessFiles, "The file is longer than the server said."),
        (ShortFiles, "The file ended early: 300 of 1000 bytes came."),
    ],
)
def test_a_file_that_is_not_as_long_as_it_was_said_to_be_is_told(
    root: Path, files: type[asyncssh.SFTPServer], expected: str
) -> None:
    with sftp_server(root, files) as server:
        assert failure(url(server)) == expected


def test_a_slow_file_is_waited_for_while_anything_comes_of_it(root: Path) -> None:
    with sftp_server(root, SlowFiles) as server:
        assert len(fetch(url(server), limits=impatient(idle_seconds=0.5)).content) == 1000  # it takes 0.75


@pytest.mark.parametrize("silent_in", ["handshake", "file"])
def test_a_transfer_that_is_not_wanted_any_more_stops_within_a_second(
    root: Path, silent_in: str, caplog: pytest.LogCaptureFixture
) -> None:
    with sftp_server(root, StalledFiles) as server, socket.create_server(("127.0.0.1", 0)) as listener:
        port = server.port if silent_in == "file" else listener.getsockname()[1]
        begun = time.monotonic()
        with pytest.raises(Stopped):
            fetch(f"sftp://{LOGIN}@127.0.0.1:{port}/a%20b.qcow2", check=stop_after(0.5))
        assert time.monotonic() - begun < 1.5
    gc.collect()  # what was broken off is no news for the log
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_what_the_receiver_raises_ends_the_transfer(server: SftpServer) -> None:
    class Picky(Kept):
        def write(self, piece: bytes) -> None:
            raise Stopped(len(piece))

    with pytest.raises(Stopped):
        fetch(url(server), into=Picky())


def test_neither_user_name_nor_password_is_logged(server: SftpServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        fetch(url(server))
        failure(url(server, login="ghost:hidden-secret"))
    for secret in (USER, PASSWORD, "ghost", "hidden-secret"):
        assert secret not in caplog.text
