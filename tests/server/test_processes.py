"""The server's processes: real ones, on a free port, stopped, crashed and killed."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from pinakes import config, opening
from pinakes.config import PREFIX
from pinakes.core.audit import Action
from pinakes.core.db.schema import events
from tests.servers import free_ports

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 60.0
SECRET = "hunter2-hunter2"


def eventually(what: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Until it holds; fails if it does not within the time."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@dataclass(slots=True)
class Server:
    """A `pinakes serve` over SQLite and a folder."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def errors(self) -> str:
        return (self.folder / "stderr").read_text()

    @property
    def output(self) -> str:
        return (self.folder / "stdout").read_text()

    def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else None
        finally:
            connection.close()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.errors
        try:
            return self.ask("/readyz")[0] == 200
        except OSError:
            return False

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "resource_tracker" not in command_line(child)]

    def worker_pids(self) -> set[int]:
        return {worker.pid for worker in self.workers() if is_alive(worker)}

    def family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        return []


def command_line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def environment(folder: Path, options: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return kept | {"PINAKES_DATA": str(folder / "var")} | {PREFIX + name: value for name, value in options.items()}


def launch(folder: Path, *arguments: str, options: Mapping[str, str], port: int | None = None) -> Server:
    folder.mkdir(exist_ok=True)
    port = port or free_ports(1)[0]
    command = [sys.executable, "-m", "pinakes.cli", "serve", "--port", str(port), *arguments]
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
        process = subprocess.Popen(
            command, env=environment(folder, options), stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
    return Server(folder, port, process)


def end(server: Server) -> None:
    for member in server.family():
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    server.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers; whatever is left of them is ended after the test."""
    started: list[Server] = []

    def begin(
        *arguments: str, name: str = "server", port: int | None = None, wait: bool = True, **options: str
    ) -> Server:
        server = launch(tmp_path / name, *arguments, options=options, port=port)
        started.append(server)
        if wait:
            eventually(server.is_ready)
        return server

    yield begin
    for server in started:
        end(server)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that only ask it things."""
    secrets = {"S3_SECRET_KEY": SECRET, "S3_ACCESS_KEY": "key", "ACCESS_LOG": "true"}
    server = launch(tmp_path_factory.mktemp("running"), "--workers", "2", options=secrets)
    eventually(server.is_ready)
    yield server
    end(server)


def is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


# -- What it says of itself ---------------------------------------------------------------------------------------


def test_health_readiness_and_the_index_are_answered_without_a_token(running: Server) -> None:
    assert running.ask("/healthz") == (200, {"status": "ok"})
    assert running.ask("/readyz") == (
        200,
        {"status": "ok", "checks": {"database": "ok", "schema": "ok", "store": "ok"}},
    )
    status, index = running.ask("/")
    assert status == 200
    assert {api["name"]: api["paths"] for api in index["apis"]} == {
        "tscharts": ["/tscharts/v1"],
        "djinn": ["/djinn"],
        "atmosphere": ["/api/v2", "/api/v1", "/auth", "/images"],
        "pathomiq": ["/Users", "/Images", "/LogInfo", "/Annotations", "/S3"],
        "native": ["/pinakes/v1"],
        "iiif": ["/iiif"],
    }


def test_other_paths_and_methods_are_refused_in_json(running: Server) -> None:
    for path in ("/nothing", "/healthz/more", "/%2e%2e/etc/passwd", "/readyz/%00"):
        assert running.ask(path) == (404, {"detail": "Not Found"})
    assert running.ask("/healthz", "POST") == (405, {"detail": "Method Not Allowed"})
    assert running.ask("/", "DELETE") == (405, {"detail": "Method Not Allowed"})
    assert running.ask("/", "HEAD") == (200, None)


def test_the_access_log_tells_method_api_status_and_sizes_but_nothing_of_whom(running: Server) -> None:
    running.ask("/tscharts/v1/image?patient=4711&secret=swordfish", "GET")
    running.ask("/djinn/images/31337", "DELETE")
    eventually(lambda: "method=DELETE api=djinn status=404" in running.errors)
    assert "method=GET api=tscharts status=401" in running.errors
    for hidden in ("4711", "swordfish", "31337", "image?", "127.0.0.1 ", SECRET):
        assert hidden not in running.errors


def test_no_secret_is_on_a_command_line(running: Server) -> None:
    lines = [command_line(member) for member in running.family()]
    assert len(lines) >= 3
    assert not [line for line in lines if SECRET in line]


def test_a_store_that_is_gone_makes_the_server_unready_but_not_dead(start: Callable[..., Server]) -> None:
    server = start("--workers", "1")
    eventually(lambda: "does jobs" in server.errors)  # the last of its processes to open the new store
    (server.folder / "var" / "blobs").rename(server.folder / "elsewhere")
    eventually(lambda: server.ask("/readyz")[0] == 503)
    assert server.ask("/readyz")[1] == {
        "status": "failed",
        "checks": {"database": "ok", "schema": "ok", "store": "failed"},
    }
    assert server.ask("/healthz")[0] == 200
    (server.folder / "elsewhere").rename(server.folder / "var" / "blobs")
    eventually(server.is_ready)


# -- Starting -----------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_one_clear_line(running: Server, start: Callable[..., Server]) -> None:
    second = start(name="second", port=running.port, wait=False)
    assert second.process.wait(PATIENCE_SECONDS) == 1
    (line,) = second.errors.splitlines()
    assert line == f"pinakes: cannot listen on 127.0.0.1 port {running.port}: Address already in use"
    assert running.is_ready()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"DATBASE_URL": "x"}, "PINAKES_DATBASE_URL is not an option of Pinakes"),
        ({"WORKERS": "-1"}, "PINAKES_WORKERS: "),
        ({"DATA": "/dev/null/var"}, "the data folder /dev/null/var cannot be used: "),
        ({"DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:1/d"}, "the database cannot be opened: "),
        (
            {
                "STORE_URL": "s3://bucket",
                "S3_ENDPOINT": "http://127.0.0.1:1",
                "S3_ACCESS_KEY": "k",
                "S3_SECRET_KEY": SECRET,
            },
            "the content store cannot be used: ",
        ),
        ({"DJINN_PATH": "/tscharts/v1"}, "djinn and tscharts are mounted at the same place"),
        ({"HOST": "192.0.2.1"}, "cannot listen on 192.0.2.1 port"),
        ({"HOST": "no such host"}, "cannot listen on no such host port"),
    ],
)
def test_what_keeps_it_from_starting_is_one_clear_line(
    start: Callable[..., Server], options: dict[str, str], reason: str
) -> None:
    server = start(wait=False, **options)
    assert server.process.wait(PATIENCE_SECONDS) == 1
    lines = [line for line in server.errors.splitlines() if line.startswith("pinakes: ")]
    assert len(lines) == 1
    assert reason in lines[0]
    assert SECRET not in server.errors
    assert "Traceback" not in server.errors


def test_two_servers_starting_at_once_share_an_empty_archive(tmp_path: Path, start: Callable[..., Server]) -> None:
    shared = {"DATA": str(tmp_path / "shared"), "wait": False}
    servers = [start("--workers", "1", name=name, **shared) for name in ("first", "second")]
    for server in servers:
        eventually(server.is_ready)


def test_what_a_killed_process_noted_of_reads_is_in_the_trail_after_the_next_start(
    tmp_path: Path, start: Callable[..., Server]
) -> None:
    data = str(tmp_path / "server" / "var")
    program = (
        "import os, sys\n"
        "from pinakes import config, opening\n"
        "from pinakes.core.actor import Actor\n"
        "from pinakes.core.audit import Action, Event\n"
        "archive = opening.open_archive(config.load(data=sys.argv[1]))\n"
        "archive.trail.note(Actor('tscharts', 5), Event(Action.CONTENT_READ, 77), archive.clock())\n"
        "os._exit(9)\n"
    )
    (tmp_path / "server").mkdir()
    assert subprocess.run([sys.executable, "-c", program, data]).returncode == 9
    start("--workers", "2")
    with opening.opened(config.load(data=data)) as archive, archive.database.read() as connection:
        found = connection.execute(select(events.c.actor_id).where(events.c.image_id == 77)).scalars().all()
    assert found == [5]


# -- Stopping -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_ends_well_and_frees_its_port(start: Callable[..., Server], number: signal.Signals) -> None:
    server = start("--workers", "2")
    workers = server.workers()
    server.process.send_signal(number)
    assert server.process.wait(PATIENCE_SECONDS) == 0
    assert not [worker for worker in workers if worker.is_running()]
    assert is_free(server.port)
    assert "error" not in server.errors
    assert "Killing" not in server.errors
    assert list((server.folder / "var" / "journals").glob("*")) == []


def test_a_request_that_is_being_answered_is_finished_before_the_server_stops(start: Callable[..., Server]) -> None:
    server = start("--workers", "1")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as slow:
        slow.sendall(b"POST /tscharts/v1/login/ HTTP/1.1\r\nHost: h\r\nContent-Length: 41\r\n\r\n{")
        time.sleep(0.3)  # the request is in the server's hands
        server.process.terminate()
        eventually(lambda: not can_connect(server.port))
        slow.sendall(b'"username": "anna", "password": "sesam"}')
        answer = slow.recv(4096)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert server.process.wait(PATIENCE_SECONDS) == 0


def test_a_request_that_does_not_end_is_cut_off_after_the_time_given(start: Callable[..., Server]) -> None:
    server = start("--workers", "1", SHUTDOWN_SECONDS="1")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as slow:
        slow.sendall(b"POST /tscharts/v1/login/ HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n{")
        time.sleep(0.3)
        server.process.terminate()
        assert server.process.wait(20) == 0


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


# -- Dying --------------------------------------------------------------------------------------------------------


def test_when_the_parent_is_killed_no_worker_lives_on_and_the_port_is_free(start: Callable[..., Server]) -> None:
    server = start("--workers", "2")
    eventually(lambda: len(server.workers()) == 3)  # one of them does jobs
    family = server.family()
    server.process.kill()
    eventually(lambda: not [member for member in family if is_alive(member)], 2)
    assert is_free(server.port)
    again = start("--workers", "1", port=server.port)
    assert again.ask("/healthz")[0] == 200


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_a_worker_whose_parent_is_gone_already_ends_before_it_loads_anything() -> None:
    write = "import pickle, sys; from pinakes import kinship; sys.stdout.buffer.write(pickle.dumps(kinship.Tie()))"
    tie = subprocess.run([sys.executable, "-c", write], capture_output=True, timeout=60, check=True).stdout
    read = "import pickle, sys; pickle.load(sys.stdin.buffer); print('loaded')"
    done = subprocess.run([sys.executable, "-c", read], input=tie, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


ENDLESS = """
import multiprocessing, pathlib, time
if multiprocessing.current_process().name != "MainProcess":
    pathlib.Path("loads").touch()
    time.sleep(600)
def nothing(): pass
"""
PARENT_OF_ENDLESS = """
import multiprocessing
from pinakes import kinship
if __name__ == "__main__":
    import endless
    child = multiprocessing.get_context("spawn").Process(target=kinship.tied, args=(kinship.Tie(), endless.nothing))
    child.start()
    child.join()
"""


def test_a_worker_that_still_loads_its_program_is_gone_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    (tmp_path / "parent.py").write_text(PARENT_OF_ENDLESS)
    parent = psutil.Popen([sys.executable, "parent.py"], cwd=tmp_path)
    try:
        eventually((tmp_path / "loads").exists)
        family = parent.children(recursive=True)
    finally:
        parent.kill()
    parent.wait()
    eventually(lambda: not [member for member in family if is_alive(member)], 2)


def test_a_killed_worker_is_replaced_while_the_others_answer(start: Callable[..., Server]) -> None:
    server = start("--workers", "2", JOB_WORKERS="0")
    before = server.worker_pids()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    for _ in range(50):
        assert server.ask("/healthz")[0] == 200
    eventually(lambda: len(server.worker_pids() - before) == 1)
    assert server.worker_pids() & before == before - {victim}
    assert "is replaced" in server.errors
    server.process.terminate()
    assert server.process.wait(PATIENCE_SECONDS) == 0


def test_a_worker_that_keeps_dying_is_replaced_again_and_again(start: Callable[..., Server]) -> None:
    server = start("--workers", "1", JOB_WORKERS="0")
    seen: set[int] = set()
    for _ in range(3):
        (pid,) = server.worker_pids()
        seen.add(pid)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: server.worker_pids() - seen)
        eventually(server.is_ready)


def test_reads_are_in_the_trail_when_a_server_has_stopped(start: Callable[..., Server]) -> None:
    server = start("--workers", "1", "--demo")
    eventually(lambda: "curl" in server.output)
    for line in server.output.splitlines():
        if line.startswith("curl"):
            subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    server.process.terminate()
    assert server.process.wait(PATIENCE_SECONDS) == 0
    with opening.opened(config.load(data=server.folder / "var")) as archive, archive.database.read() as connection:
        reads = connection.execute(select(events.c.api).where(events.c.action == Action.CONTENT_READ)).scalars().all()
    assert sorted(reads) == ["djinn", "pathomiq", "tscharts"]
