"""A laboratory's slides: a presigned upload of a large file beside nginx, and predictions that start."""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from bench import client
from bench.large import make_file
from bench.memory import watched
from bench.report import Row, ratio
from bench.servers import Pinakes, Running, nginx

_BOUNDARY = "a-boundary-that-no-slide-holds"
_POLL_SECONDS = 0.005
_PATIENCE_SECONDS = 30


def measure_upload(
    folder: Path, archive: Pinakes, token: str, size_bytes: int, runs: int
) -> tuple[list[Row], list[str]]:
    """The same file posted with a presigned form, and PUT to nginx, in turn."""
    source = folder / "large.slide"
    make_file(source, size_bytes)
    ours, peer = [], []
    with contextlib.ExitStack() as stack:
        pinakes = stack.enter_context(archive.serving(workers=1))
        web = stack.enter_context(nginx(folder / "nginx-slides"))
        peak = stack.enter_context(watched(pinakes.pid))
        for _ in range(runs):
            slide = create(pinakes, token)
            ours.append(size_bytes / post_form(pinakes, slide, source).seconds / 1e9)
            peer.append(size_bytes / client.send_file(web.address, "PUT", "/f", source, {}).seconds / 1e9)
            call(pinakes, token, "DELETE", f"/Images/{slide['image_unique_id']}")
        resident = peak.resident_bytes
    source.unlink()
    what = f"presigned upload {size_bytes / 2**30:g} GiB"
    in_ours = Row(what, "Pinakes", ours, "GB/s", resident, "POST policy form: SHA-256, MD5, fsync, SQLite")
    in_nginx = Row(what, "nginx", peer, "GB/s", 0, "dav PUT: no hash, no fsync")
    return [in_ours, in_nginx], [ratio("presigned upload", in_ours, in_nginx, "")]


def measure_starts(archive: Pinakes, token: str, source: Path, runs: int) -> list[Row]:
    """From the call of startpredict to the stage that runs, and from one start to the end of the run."""
    until_running, until_ended = [], []
    with archive.serving(workers=1) as server:
        slide = uploaded(server, token, source)
        uid = slide["image_unique_id"]
        for _ in range(runs):
            started = time.perf_counter()
            call(server, token, "GET", f"/Images/startpredict/{uid}")
            _wait(server, token, uid, lambda shown: shown["tissuearea_status"] != "Pending")
            until_running.append((time.perf_counter() - started) * 1000)
            _wait(server, token, uid, lambda shown: shown["tissuearea_status"] not in {"Pending", "Running"})
            until_ended.append((time.perf_counter() - started) * 1000)
    conditions = f"one server, one job worker, SQLite; polled every {_POLL_SECONDS * 1000:g} ms"
    return [
        Row("startpredict to Running", "Pinakes", until_running, "ms", 0, conditions),
        Row(
            "startpredict to the end of the run",
            "Pinakes",
            until_ended,
            "ms",
            0,
            f"{conditions}; a file that cannot be read",
        ),
    ]


def create(server: Running, token: str) -> dict[str, object]:
    """A new slide, with the form that its bytes are to be posted with."""
    return call(server, token, "POST", "/Images", {"filename": "bench.svs"})


def uploaded(server: Running, token: str, source: Path) -> dict[str, object]:
    """A new slide with the bytes of a file."""
    slide = create(server, token)
    post_form(server, slide, source)
    call(server, token, "PUT", f"/Images/{slide['id']}", {"status": "Uploaded"})
    return slide


def post_form(server: Running, slide: dict[str, object], source: Path, *, more: bytes = b"") -> client.Answer:
    """Post a form with the file, and more bytes behind it. Raises RuntimeError for a refusal."""
    fields = dict(slide["response"])  # type: ignore[call-overload]
    path = urlsplit(fields.pop("url")).path
    head = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="bench.svs"\r\n\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    tail = more + f"\r\n--{_BOUNDARY}--\r\n".encode()
    answer = client.send_file(server.address, "POST", path, source, headers, before=head.encode(), after=tail)
    if answer.status != 204:
        raise RuntimeError(f"the form was answered {answer.status}: {answer.body[:300]!r}")
    return answer


def _wait(server: Running, token: str, uid: object, is_so: Callable[[dict[str, object]], bool]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not is_so(call(server, token, "GET", f"/Images/{uid}")):
        if time.monotonic() > end:
            raise RuntimeError("the run does not go on")
        time.sleep(_POLL_SECONDS)


def call(
    server: Running, token: str, method: str, path: str, body: dict[str, object] | None = None
) -> dict[str, object]:
    """The JSON that PathomIQ's API answers with. Raises RuntimeError for a refusal."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sent = b"" if body is None else json.dumps(body).encode()
    answer = client.send(server.address, method, path, sent, headers)
    if answer.status != 200:
        raise RuntimeError(f"{method} {path} answered {answer.status}: {answer.body[:300]!r}")
    decoded: dict[str, object] = json.loads(answer.body)
    return decoded
