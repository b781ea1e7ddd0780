"""One large file in and out: through the CI protocol, beside nginx and a bare socket loop."""

import contextlib
import json
import os
from pathlib import Path

from bench import client
from bench.memory import watched
from bench.report import Row, ratio
from bench.servers import Pinakes, Running, bare_loop, nginx

GIB = 2**30


def make_file(path: Path, size_bytes: int) -> None:
    """A file that begins like a qcow2 and goes on with bytes no file system can shrink."""
    with path.open("wb") as file:
        file.write(b"QFI\xfb")
        left = size_bytes - 4
        while left:
            left -= file.write(os.urandom(min(left, 1 << 24)))


def measure(folder: Path, archive: Pinakes, token: str, size_bytes: int, runs: int) -> tuple[list[Row], list[str]]:
    """Upload and download, the servers in turn, so that what slows the machine slows all of them."""
    source = folder / "large.qcow2"
    make_file(source, size_bytes)
    authorization = {"Authorization": f"Bearer {token}"}
    bare, ours, peer = [], [], []
    ours_out, peer_out = [], []
    with contextlib.ExitStack() as stack:
        pinakes = stack.enter_context(archive.serving(workers=1))
        web = stack.enter_context(nginx(folder / "nginx"))
        loop = stack.enter_context(bare_loop(folder / "loop"))
        peak_in = stack.enter_context(watched(pinakes.pid))
        for run in range(runs):
            bare.append(size_bytes / client.send_file(loop.address, "PUT", "/f", source, {}).seconds / 1e9)
            image_id, rate = _upload(pinakes, source, authorization, run)
            ours.append(rate)
            peer.append(size_bytes / client.send_file(web.address, "PUT", "/f", source, {}).seconds / 1e9)
            ours_out.append(_download(pinakes, f"/djinn/images/{image_id}", authorization))
            peer_out.append(_download(web, "/f", {}))
            client.send(pinakes.address, "DELETE", f"/djinn/images/{image_id}", b"", authorization)
        peak = peak_in.resident_bytes
    source.unlink()
    size = f"{size_bytes / GIB:g} GiB"
    in_ours = Row(f"upload {size}", "Pinakes", ours, "GB/s", peak, "POST to the CI protocol: SHA-256, fsync, SQLite")
    in_bare = Row(f"upload {size}", "bare socket loop", bare, "GB/s", 0, "SHA-256 in a thread, write, fsync")
    in_nginx = Row(f"upload {size}", "nginx", peer, "GB/s", 0, "dav PUT: no hash, no fsync")
    out_ours = Row(f"download {size}", "Pinakes", ours_out, "GB/s", peak, "with access check and audit; pages warm")
    out_nginx = Row(f"download {size}", "nginx", peer_out, "GB/s", 0, "sendfile; pages warm")
    ratios = [
        ratio("upload", in_ours, in_bare, "0.9"),
        ratio("upload", in_ours, in_nginx, ""),
        ratio("download", out_ours, out_nginx, "1.0"),
    ]
    return [in_ours, in_bare, in_nginx, out_ours, out_nginx], ratios


def _upload(server: Running, source: Path, headers: dict[str, str], run: int) -> tuple[int, float]:
    answer = client.send_file(server.address, "POST", f"/djinn/images?name=large{run}", source, headers)
    if answer.status != 201:
        raise RuntimeError(f"the upload was answered {answer.status}: {answer.body[:200]!r}")
    return json.loads(answer.body)["id"], source.stat().st_size / answer.seconds / 1e9


def _download(server: Running, path: str, headers: dict[str, str]) -> float:
    accept = headers | {"Accept": "application/octet-stream"} if headers else {}
    received, seconds = client.receive_file(server.address, path, accept)
    return received / seconds / 1e9
