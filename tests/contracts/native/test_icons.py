"""Icons: decoded behind limits in a process that may die, drawn anew, found by a random name (contract 11.4)."""

import io
import os
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from pinakes.core.actor import Actor
from pinakes.core.catalogue import icons
from pinakes.core.errors import FormatUnsupported, ImageUnknown
from pinakes.imaging import icon as program
from tests.contracts.native.conftest import Client, World

ANYONE = Actor("atmosphere")
ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


def picture(size: tuple[int, int] = (320, 200), kind: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    written = io.BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(written, kind, **options)
    return written.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it has side x side pixels, all of them there."""
    row = zlib.compressobj(9)
    data = b"".join([row.compress(bytes(1 + side // 8)) for _ in range(side)] + [row.flush()])

    def chunk(name: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))

    header = pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def icon_name(client: Client, image_id: int) -> str | None:
    path = client.get(f"/vm-images/{image_id}").json()["icon"]
    return None if path is None else path.removeprefix("/images/")


def shown(world: World, name: str, actor: Actor = ANYONE) -> Image.Image:
    found, reader = world.archive.icons.open(actor, name)
    content = reader.read_at(0, found.size_bytes)
    reader.close()
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "CMYK"), ("WEBP", "RGB")])
def test_an_icon_is_drawn_anew_as_a_small_png(lasting_world: World, lasting_ana: Client, kind: str, mode: str) -> None:
    image = lasting_ana.image(is_public=True)
    assert lasting_ana.put(f"/vm-images/{image['id']}/icon", content=picture((512, 256), kind, mode)).status_code == 204
    name = icon_name(lasting_ana, image["id"])
    assert name is not None
    assert len(name) == 32 + len(".png")
    drawn = shown(lasting_world, name)
    assert (drawn.format, drawn.size) == ("PNG", (256, 128))


@ONE_BACKEND
def test_nothing_but_the_picture_comes_through(world: World, ana: Client) -> None:
    """Metadata, what follows the picture, and further frames stay behind."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "where I live")
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    animated = io.BytesIO()
    frames[0].save(animated, "WEBP", save_all=True, append_images=frames[1:])
    image = ana.image(is_public=True)
    for sent in (picture(pnginfo=text), picture() + b"<script>alert(1)</script>", animated.getvalue()):
        assert ana.put(f"/vm-images/{image['id']}/icon", content=sent).status_code == 204
        drawn = shown(world, icon_name(ana, image["id"]) or "")
        assert drawn.info == {}
        assert getattr(drawn, "n_frames", 1) == 1
        found, reader = world.archive.icons.open(ANYONE, icon_name(ana, image["id"]) or "")
        content = reader.read_at(0, found.size_bytes)
        reader.close()
        assert b"script" not in content
        assert b"where" not in content


@ONE_BACKEND
def test_a_turned_photograph_stands_upright(world: World, ana: Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = ana.image(is_public=True)
    ana.put(f"/vm-images/{image['id']}/icon", content=picture((300, 100), "JPEG", exif=exif))
    assert shown(world, icon_name(ana, image["id"]) or "").size == (85, 256)


def test_a_new_icon_takes_the_old_ones_place_and_name(world: World, ana: Client) -> None:
    path = f"/vm-images/{ana.image(is_public=True)['id']}"
    ana.put(f"{path}/icon", content=picture())
    image_id = int(path.rpartition("/")[2])
    first = icon_name(ana, image_id) or ""
    ana.put(f"{path}/icon", content=picture((100, 100)))
    second = icon_name(ana, image_id) or ""
    assert first != second
    with pytest.raises(ImageUnknown):
        world.archive.icons.open(ANYONE, first)
    assert len(world.stored_keys()) == 1
    assert ana.delete(f"{path}/icon").status_code == 204
    assert ana.delete(f"{path}/icon").status_code == 204
    assert icon_name(ana, image_id) is None
    assert world.stored_keys() == set()


def test_icons_put_at_once_leave_one_and_no_byte_of_the_others(world: World, ana: Client) -> None:
    path = f"/vm-images/{ana.image()['id']}/icon"
    pictures = [picture((40, 10 + number)) for number in range(3)]
    answers = ana.at_once([("PUT", path, {"content": one}) for one in pictures])
    assert [answer.status_code for answer in answers] == [204, 204, 204]
    assert len(world.stored_keys()) == 1


def test_purging_an_image_takes_its_icon(world: World, ana: Client) -> None:
    path = f"/vm-images/{ana.image()['id']}"
    ana.put(f"{path}/icon", content=picture())
    ana.post(f"{path}/purge")
    assert world.stored_keys() == set()


def test_an_icon_is_seen_by_who_may_read_the_image(world: World, ana: Client, ben: Client) -> None:
    """No side door: ending or hiding an image hides its icon."""
    image = ana.image(is_public=True)
    path = f"/vm-images/{image['id']}"
    ana.put(f"{path}/icon", content=picture())
    name = icon_name(ana, image["id"]) or ""
    assert shown(world, name).format == "PNG"
    ana.patch(path, json={"is_public": False})
    author = world.archive.credentials.actor("atmosphere", ana.token or "")
    other = world.archive.credentials.actor("atmosphere", ben.token or "")
    assert shown(world, name, author).format == "PNG"
    for actor in (ANYONE, other):
        with pytest.raises(ImageUnknown):
            world.archive.icons.open(actor, name)


@pytest.mark.parametrize("name", ["", "x", "x" * 5000, "a\0.png", "é.png", "\ud800.png"])
def test_a_name_that_is_none_names_no_icon(lasting_world: World, name: str) -> None:
    with pytest.raises(ImageUnknown):
        lasting_world.archive.icons.open(ANYONE, name)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (SVG, 415),
        (picture(kind="TIFF"), 415),
        (picture()[:200], 415),
        (picture(kind="JPEG")[:300], 415),
        (b"RIFF\xff\xff\xff\xffWEBP" + bytes(50), 415),
        (b"", 400),
        (bomb(30_000), 400),
        (bytes(1024 * 1024 + 1), 413),
    ],
)
def test_what_is_no_small_picture_is_refused_and_nothing_changes(
    lasting_world: World, lasting_ana: Client, content: bytes, status: int
) -> None:
    """SVG refused; DESIGN rule 6."""
    before = lasting_world.stored_keys()
    image = lasting_ana.image()
    answer = lasting_ana.put(f"/vm-images/{image['id']}/icon", content=content)
    assert answer.status_code == status, answer.text
    assert icon_name(lasting_ana, image["id"]) is None
    assert lasting_world.stored_keys() == before


def test_only_its_people_give_an_image_an_icon(ana: Client, ben: Client, nobody: Client) -> None:
    path = f"/vm-images/{ana.image(is_public=True)['id']}/icon"
    assert ben.put(path, content=picture()).status_code == 403
    assert nobody.put(path, content=picture()).status_code == 401
    assert ben.delete(path).status_code == 403


@ONE_BACKEND
def test_a_picture_that_kills_the_child_is_refused_like_a_broken_one(
    world: World, ana: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The child dies of it, the server does not."""
    dying = tmp_path / "dying.py"
    dying.write_text(f"import os; os.kill(os.getpid(), {signal.SIGKILL.value})")
    path = f"/vm-images/{ana.image()['id']}/icon"
    with monkeypatch.context() as patched:
        patched.setattr(program, "__file__", str(dying))
        answer = ana.put(path, content=picture())
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (415, "format-unsupported")
    assert world.stored_keys() == set()
    assert ana.put(path, content=picture()).status_code == 204


@ONE_BACKEND
def test_more_pictures_at_once_than_can_be_read_are_put_off(
    world: World, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads in which callers wait are everybody's."""
    path = f"/vm-images/{ana.image()['id']}/icon"
    with monkeypatch.context() as patched:
        patched.setattr(world.archive.icons, "_callers", threading.BoundedSemaphore(1))
        answers = ana.at_once([("PUT", path, {"content": picture()})] * 4)
    assert sorted({answer.status_code for answer in answers}) == [204, 503]
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)
    assert ana.put(path, content=picture()).status_code == 204


@pytest.mark.slow
def test_a_child_that_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sleeping, note = tmp_path / "sleeping.py", tmp_path / "note"
    sleeping.write_text(f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    monkeypatch.setattr(icons, "_SECONDS", 2.0)
    monkeypatch.setattr(program, "__file__", str(sleeping))
    with pytest.raises(FormatUnsupported):
        icons._drawn(picture())
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_the_child_is_held_to_its_memory_and_time() -> None:
    code = (
        "import resource, runpy; ns = runpy.run_path({path!r}); ns['_limit'](); "
        "print(resource.getrlimit(resource.RLIMIT_AS)[1], resource.getrlimit(resource.RLIMIT_CPU)[1]); "
        "bytearray(2 << 30)"
    )
    child = subprocess.run(
        [sys.executable, "-I", "-c", code.format(path=program.__file__)], capture_output=True, text=True
    )
    memory, seconds = map(int, child.stdout.split())
    assert (memory, seconds) == (768 * 1024 * 1024, 5)
    assert "MemoryError" in child.stderr
