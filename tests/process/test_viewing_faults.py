"""Looking at images while things go wrong: readers killed, caches gone or full, crowds, bombs, files that lie.

One real server for all of it, which must go on whatever happens (issue 4, bad input and faults).
"""

import base64
import contextlib
import gzip
import io
import itertools
import json
import random
import shutil
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from pinakes.core.actor import Kind
from pinakes.core.content.stores import open_store
from pinakes.core.db.engine import Database
from tests.conftest import Backend
from tests.imaging import making_disks, making_slides
from tests.imaging.making_photographs import HEIC, one_colour, quarters, saved
from tests.process.conftest import ended
from tests.process.serving import Answered, Archive

pytestmark = pytest.mark.slow

MIB: Final = 1024 * 1024
READER: Final = "pinakes.imaging.decoding.child"
TISSUE: Final = making_slides.tissue(600, 400)
PATIENCE_SECONDS: Final = 60


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def command_of(process: psutil.Process) -> list[str]:
    """Nothing for one that has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


class Clinic:
    """A served archive, and a tablet that puts pictures into it and looks at them."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.token = archive.add_user("tablet", Kind.CLINICAL)
        texts = (
            "paternal_last maternal_last first middle suffix prefix street1 street2 city colonia phone1 phone2 email "
            "emergencyfullname emergencyphone emergencyemail curp"
        )
        self.patient = dict.fromkeys(texts.split(), "invented") | {"dob": "1/2/1990", "gender": "Female"}
        self.patient_id: int | None = None

    def put(self, content: bytes) -> int:
        """The id of a new image, whatever the bytes are."""
        if self.patient_id is None:
            made = self.post("/tscharts/v1/patient/", self.patient | {"state": "Sonora"})
            self.patient_id = made.json["id"]
        data = base64.b64encode(content).decode()
        made = self.post("/tscharts/v1/image/", {"patient": self.patient_id, "type": "Xray", "data": data})
        assert made.status == 200, made.body[:200]
        return int(made.json["id"])

    def post(self, path: str, body: dict[str, Any]) -> Answered:
        return self.archive.ask("POST", path, json.dumps(body).encode(), {"Authorization": f"Token {self.token}"})

    def get(self, path: str) -> Answered:
        return self.archive.ask("GET", path, None, {"Authorization": f"Bearer {self.token}"})

    def thumbnail(self, image_id: int, side: int = 256) -> Answered:
        return self.get(f"/pinakes/v1/images/{image_id}/thumbnail?side={side}")

    def description(self, image_id: int) -> dict[str, Any]:
        told: dict[str, Any] = self.get(f"/pinakes/v1/images/{image_id}/description").json
        return told

    def put_and_read(self, content: bytes) -> int:
        """The same, once the job is done that reads what it is."""
        image_id = self.put(content)
        wait_until(lambda: self.description(image_id)["state"] != "waiting")
        return image_id

    def readers(self) -> list[psutil.Process]:
        return [child for child in self.archive.workers() if READER in command_of(child)]

    def check_well(self, image_id: int) -> None:
        """It goes on: a good picture is shown, and no process has grown."""
        answer = self.thumbnail(image_id, next(_SIDES))
        assert answer.status == 200, answer.body
        for process in self.archive.workers():
            command = command_of(process)
            if command:
                assert process.memory_info().rss < (1024 if READER in command else 400) * MIB, command


_SIDES = itertools.count(100)
"""A side that nobody has asked for yet."""


def opened(answer: Answered) -> Image.Image:
    assert answer.status == 200, answer.body
    return Image.open(io.BytesIO(answer.body))


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory, sqlite_template: bytes) -> Iterator[Clinic]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "pinakes.sqlite").write_bytes(sqlite_template)
    database_url, store_url = f"sqlite:///{folder / 'pinakes.sqlite'}", f"disk://{folder / 'content'}"
    database = Database(database_url)
    backend = Backend(database, open_store(store_url), database_url, store_url, None)
    for archive in ended(Archive(backend, folder)):
        archive.start()
        yield Clinic(archive)
    database.close()


@pytest.fixture(scope="module")
def good(clinic: Clinic) -> int:
    """The id of a photograph."""
    return clinic.put_and_read(saved(quarters(3000, 2000), "PNG"))


@pytest.fixture(scope="module")
def large(clinic: Clinic) -> int:
    """The id of a picture of 400 million pixels, of which a thumbnail takes a second or so."""
    return clinic.put_and_read(one_colour(20_000))


def test_readers_are_there_before_the_first_picture(clinic: Clinic) -> None:
    wait_until(lambda: len(clinic.readers()) >= 2)


# -- Readers and caches -----------------------------------------------------------------------------------------------


def test_a_reader_killed_in_mid_picture_costs_that_request_alone(clinic: Clinic, good: int, large: int) -> None:
    with ThreadPoolExecutor(1) as caller:
        before = {reader.pid: reader.cpu_times().user for reader in clinic.readers()}
        asked = caller.submit(clinic.thumbnail, large, 300)
        wait_until(lambda: asked.done() or bool(busy(clinic, before)))
        for reader in busy(clinic, before):
            reader.kill()
        answer = asked.result()
    assert answer.status == 503, answer.body
    assert answer.json["detail"] == "The process that read the picture died."
    assert opened(clinic.thumbnail(large, 300)).size == (300, 300)
    clinic.check_well(good)


def busy(clinic: Clinic, before: dict[int, float]) -> list[psutil.Process]:
    """The readers that have worked since."""
    return [reader for reader in clinic.readers() if reader.cpu_times().user > before.get(reader.pid, 1e9) + 0.05]


def test_a_reader_that_dies_while_idle_is_replaced_before_it_is_missed(clinic: Clinic, good: int) -> None:
    killed = clinic.readers()
    for reader in killed:
        reader.kill()
    psutil.wait_procs(killed, timeout=10)  # the kernel takes a moment; who is asked before that loses its answer
    clinic.check_well(good)
    wait_until(lambda: len({reader.pid for reader in clinic.readers()} - {each.pid for each in killed}) >= 2)


def test_the_cache_may_be_deleted_under_the_server(clinic: Clinic, good: int) -> None:
    first = clinic.thumbnail(good, 90)
    cache = clinic.archive.folder / "var" / "cache"
    assert any(cache.rglob("*"))
    shutil.rmtree(cache)
    assert clinic.thumbnail(good, 90) == first
    clinic.check_well(good)
    assert any(path.is_file() for path in cache.rglob("*"))  # it is kept again


@contextlib.contextmanager
def full_volume(cache: Path) -> Iterator[None]:
    """A volume of its own at that place, without any room."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(cache)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a volume is not allowed here")
    try:
        with contextlib.suppress(OSError), (cache / "filling").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield
    finally:
        subprocess.run(["umount", "-l", str(cache)], check=True)


@contextlib.contextmanager
def file_in_the_way(cache: Path) -> Iterator[None]:
    """No folder can be made there."""
    cache.rmdir()
    cache.touch()
    try:
        yield
    finally:
        cache.unlink()
        cache.mkdir()


@pytest.mark.parametrize("trouble", [full_volume, file_in_the_way])
def test_pictures_are_shown_when_none_can_be_kept(
    clinic: Clinic, good: int, trouble: Callable[[Path], contextlib.AbstractContextManager[None]]
) -> None:
    cache = clinic.archive.folder / "var" / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    with trouble(cache):
        assert opened(clinic.thumbnail(good, 80)).size == (80, 53)
        assert clinic.thumbnail(good, 80).status == 200
        clinic.check_well(good)
        assert not any(path.is_file() for path in cache.rglob("*") if path.name != "filling")
    clinic.check_well(good)
    assert any(path.is_file() for path in cache.rglob("*"))


def test_folders_of_programs_that_were_killed_are_gone_after_a_start(clinic: Clinic, good: int) -> None:
    folders = [
        Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        for prefix, parent in (("pinakes-decoding-", None), ("export-", clinic.archive.folder / "var" / "scratch"))
    ]
    for folder in folders:
        subprocess.run(["touch", "-d", "2 hours ago", str(folder)], check=True)
    clinic.archive.stop()
    clinic.archive.start()
    wait_until(lambda: not any(folder.exists() for folder in folders))
    clinic.check_well(good)


# -- Crowds -----------------------------------------------------------------------------------------------------------


def test_200_clients_who_ask_for_one_cold_picture_get_it_from_one_decoding(
    clinic: Clinic, good: int, large: int
) -> None:
    def cpu_seconds() -> float:
        return sum(reader.cpu_times().user for reader in clinic.readers())

    assert clinic.thumbnail(large, 399).status == 200
    began = cpu_seconds()
    assert clinic.thumbnail(large, 400).status == 200
    once = cpu_seconds() - began
    barrier = threading.Barrier(200)

    def ask(_: int) -> Answered:
        barrier.wait()
        return clinic.thumbnail(large, 401)

    began = cpu_seconds()
    with ThreadPoolExecutor(200) as clients:
        answers = set(clients.map(ask, range(200)))
    (answer,) = answers
    assert opened(answer).size == (401, 401)
    assert cpu_seconds() - began < 2.5 * once
    clinic.check_well(good)


# -- Bombs ------------------------------------------------------------------------------------------------------------


def deflated_gigabytes() -> bytes:
    """A TIFF of one strip of 300 x 300 pixels, that expands to 4 GiB."""
    packer = zlib.compressobj(1)
    head = packer.compress(b"")
    part = packer.compress(bytes(64 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)  # after which it can be said again
    return deflated(300, 300, head + 64 * part)


def deflated(width: int, height: int, strip: bytes) -> bytes:
    fields = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: height, 279: len(strip)}
    return b"II*\0" + (8 + len(strip)).to_bytes(4, "little") + strip + making_slides.directory_bytes(fields, 0)


def nested_gzip() -> bytes:
    content = bytes(256 * MIB)
    for _ in range(4):
        content = gzip.compress(content)
    return content


BOMBS: Final[dict[str, tuple[Callable[[], bytes], str | None]]] = {
    "a TIFF that expands to gigabytes": (deflated_gigabytes, None),
    "a TIFF that says it has 4 gigapixels": (lambda: deflated(65_000, 65_000, zlib.compress(bytes(1000))), ""),
    "a TIFF whose directory leads to itself": (
        lambda: b"II*\0\x08\0\0\0" + making_slides.directory_bytes({256: 9, 257: 9}, 8),
        "circle",
    ),
    "a TIFF of a million directories": (lambda: making_slides.chain_of_directories(1_000_000), "more than 10000"),
    "a zip in a zip in a zip": (nested_gzip, "no pixels"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_stored_and_answered_in_words(clinic: Clinic, good: int, bomb: str) -> None:
    made, words = BOMBS[bomb]
    image_id = clinic.put(made())
    began = time.monotonic()
    for path in (
        f"/pinakes/v1/images/{image_id}/thumbnail?side=200",
        f"/iiif/3/{image_id}/full/!200,200/0/default.jpg",
    ):
        answer = clinic.get(path)
        if words is None:  # as much as its size says is there, and shown
            assert opened(answer).size == (200, 200)
            continue
        assert 400 <= answer.status < 500, (answer.status, answer.body)
        assert words in answer.body.decode()
        assert str(clinic.archive.folder) not in answer.body.decode()
    assert time.monotonic() - began < PATIENCE_SECONDS
    clinic.check_well(good)


def test_2500_million_pixels_of_one_colour_are_found_and_shown_small(clinic: Clinic, good: int) -> None:
    image_id = clinic.put_and_read(one_colour(50_000))
    told = clinic.description(image_id)
    assert (told["state"], told["width"], told["height"], told["levels"]) == ("ready", 50_000, 50_000, [])
    assert "only shown small" in told["warnings"][0]
    found = clinic.get("/pinakes/v1/images?min_width=50000").json
    assert [item["id"] for item in found["items"]] == [image_id]
    assert opened(clinic.thumbnail(image_id)).size == (256, 256)
    refused = clinic.get(f"/iiif/3/{image_id}/info.json")
    assert refused.status == 404
    assert "only shown small" in refused.body.decode()
    clinic.check_well(good)


# -- Files that lie ---------------------------------------------------------------------------------------------------


def written(write: Callable[[Path], None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()


def _sample(name: str) -> bytes:
    return Path(str(get_testdata_file(name))).read_bytes()


FORMATS: Final[dict[str, Callable[[], bytes]]] = {
    **{name: partial(saved, quarters(), name) for name in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")},
    "HEIC": HEIC.read_bytes,
    "SVS": lambda: written(lambda path: making_slides.write_svs(path, TISSUE)),
    "pyramid": lambda: written(lambda path: making_slides.write_pyramid(path, TISSUE)),
    "OME": lambda: written(lambda path: making_slides.write_ome(path, TISSUE)),
    "DICOM slide": lambda: written(lambda path: making_slides.write_wsi(path, TISSUE, tile=256)),
    "CT": lambda: _sample("CT_small.dcm"),
    "JPEG 2000 in DICOM": lambda: _sample("JPEG2000.dcm"),
    "NDPI": lambda: written(lambda path: making_slides.write_ndpi(path, TISSUE)),
    "MBR": lambda: written(lambda path: making_disks.write_mbr(path, [(0x83, 2048, 100)])),
    "ISO": lambda: written(making_disks.write_iso),
}


def damaged(content: bytes, seed: str) -> Iterator[bytes]:
    """Cut off, and with bytes that are others, most of them in the first part, where sizes and places are."""
    for share in (0.1, 0.5, 0.95):
        yield content[: int(len(content) * share)]
    chance = random.Random(seed)
    for _ in range(4):
        lying = bytearray(content)
        for _ in range(chance.randint(1, 12)):
            lying[chance.randrange(len(content) if chance.random() < 0.3 else min(600, len(content)))] = (
                chance.randrange(256)
            )
        yield bytes(lying)


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_file_is_shown_or_refused_and_never_an_error_of_the_server(
    clinic: Clinic, good: int, format: str
) -> None:
    content = FORMATS[format]()
    for number, bad in enumerate(damaged(content, format)):
        image_id = clinic.put(bad)
        for path in (
            f"/pinakes/v1/images/{image_id}/thumbnail",
            f"/iiif/3/{image_id}/info.json",
            f"/iiif/3/{image_id}/0,0,64,64/32,/0/default.jpg",
            f"/pinakes/v1/images/{image_id}/description",
        ):
            answer = clinic.get(path)
            assert answer.status < 500, (number, path, answer.body)
    clinic.check_well(good)
