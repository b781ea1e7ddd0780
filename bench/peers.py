"""Other servers of tiles, each as one would run it on this machine: IIPImage, and large_image.

Both give the parts of a slide that IIIF names, and have a process for each of the two cores.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from bench.servers import Running, free_port, nginx_of, process

JPEG_QUALITY = 85
"""What Pinakes encodes tiles with."""

_PROCESSES = 2
_IIPIMAGE = Path("/usr/lib/iipimage-server/iipsrv.fcgi")
_LARGE_IMAGE = ("large-image==1.35.6", "large-image-source-tiff==1.35.6")
_SAME_AS_OURS = ("granian", "starlette", "numpy")


class Missing(Exception):
    """The peer is not here; the text says what to do about it."""


_FASTCGI = """
  server {{ listen 127.0.0.1:{port};
    location /iiif/ {{
      fastcgi_pass unix:{socket};
      fastcgi_param REQUEST_METHOD $request_method; fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param HTTP_HOST $http_host; fastcgi_param REQUEST_URI $request_uri; fastcgi_param QUERY_STRING "";
    }}
  }}
"""


def check_iipimage() -> None:
    """Raises Missing."""
    if not _IIPIMAGE.exists():
        raise Missing("Debian's `iipimage-server` is not installed")


@contextmanager
def iipimage(folder: Path, slides: Path) -> Iterator[Running]:
    """IIPImage behind nginx (Debian packages), with its own caches as they are: /iiif/{file}/{region}/...

    slides: the folder of the files.
    """
    place = folder / "iipimage.socket"
    place.unlink(missing_ok=True)
    port = free_port()
    environment = {
        "FILESYSTEM_PREFIX": f"{slides}/",
        "URI_MAP": "iiif=>IIIF",
        "JPEG_QUALITY": str(JPEG_QUALITY),
        "VERBOSITY": "0",
    }
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(place))
        listening.listen(1024)
        for _ in range(_PROCESSES):  # FastCGI: each takes connections from the socket it has in the place of its input
            stack.enter_context(_beside([str(_IIPIMAGE)], listening, environment))
        running = nginx_of(folder / "nginx", _FASTCGI.format(port=port, socket=place), port)
        yield stack.enter_context(running)


def large_image_environment(folder: Path) -> Path:
    """The Python of a virtual environment with large_image (PyPI), and with the web server that Pinakes has.

    Raises Missing.
    """
    wanted = [*_LARGE_IMAGE, *(f"{name}=={version(name)}" for name in _SAME_AS_OURS)]
    python = folder / "bin" / "python"
    for command in ([sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", "install", "-q", *wanted]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"large_image could not be installed from PyPI: {done.stderr.strip()[-120:]}")
    return python


@contextmanager
def large_image(folder: Path, python: Path, slide: Path) -> Iterator[Running]:
    """large_image behind Granian: it has no web server of its own. See `large_image_app`."""
    port = free_port()
    command = [str(python), "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(_PROCESSES), "bench.large_image_app:app"]
    root = Path(__file__).parent.parent
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "BENCH_SLIDE": str(slide)}
    with process(command, ("127.0.0.1", port), folder / "large_image.log", environment) as running:
        yield running


@contextmanager
def _beside(command: list[str], stdin: socket.socket, environment: dict[str, str]) -> Iterator[None]:
    beside = subprocess.Popen(
        command, stdin=stdin.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        yield
    finally:
        beside.terminate()
        beside.wait()
