"""What is hidden leaves no trace: every GET answers as if it did not exist (atmosphere contract V6, V7)."""

import io
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import httpx
import pytest
from PIL import Image
from sqlalchemy import insert, select, text, update

from pinakes.apis.atmosphere import API
from pinakes.apis.atmosphere.app import Application
from pinakes.core.actor import Visibility
from pinakes.core.db.schema import bookmarks, images, patterns, version_memberships, versions
from pinakes.web.api import ApiContext
from pinakes.web.bridge import Bridge
from pinakes.web.cors import Cors
from pinakes.web.origin import Origins
from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import MAX_JSON_BYTES, ORIGIN, Client, World
from tests.contracts.atmosphere.making import add_version, fill, make_group

FAR = 770_000
"""Ids of what is hidden begin after this one, so that they are told from all others."""
SECRET = "zqxsecret"
TAG = "pinned"

Answers = dict[str, tuple[int, bytes]]


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_every_get_answers_as_if_hidden_images_did_not_exist(
    world: World, ana: Client, ben: Client, nobody: Client, clock: MovableClock, tmp_path: Path
) -> None:
    """V6, V7: to an anonymous caller and to a stranger, who even bookmarked them while they could be seen."""
    world.tag(TAG, "on hidden images only")
    world.tag("Featured")
    world.image(ana, "open", tags=("other",))
    paths = list(routes(world, tmp_path))
    assert {"/api/v2/images", "/api/v2/image_versions/{key}", "/images/{name}", "/auth"} <= set(paths)
    before = {client.name: asked(client, paths, [FAR + 1], []) for client in (nobody, ben)}
    hide_some(world, ana, ben, clock)
    ids, names = keys(world)
    urls: list[int | str] = [*ids, *names]
    for client in (nobody, ben):
        after = asked(client, paths, ids, names)
        for url, (status, body) in after.items():
            assert status < 500, url
            assert SECRET.encode() not in body, url
            assert not any(name.encode() in body for name in names if len(name) >= 32), url
            assert not any(str(number).encode() in body for number in ids), url
            assert TAG.encode() not in body or "/tags" in url, url
        assert {url: after[url] for url in before[client.name]} == before[client.name]
        unknown = asked(client, [path for path in paths if "{" in path], [FAR + 9_999], [])
        for path in paths:
            if "{" in path:
                missing = unknown[filled(path, FAR + 9_999)]
                assert all(after[filled(path, key)] == missing for key in urls), path
    shown = asked(ana, paths, ids, [])
    assert sum(SECRET.encode() in body for _, body in shown.values()) > 20, "the author sees them by these very paths"


def routes(world: World, folder: Path) -> Iterator[str]:
    """Every path that the application serves."""
    bridge = Bridge(world.archive.database.is_local)
    app = API.create(ApiContext(world.archive, bridge, Origins(), MAX_JSON_BYTES, UTC, folder, ()))
    bridge.close()
    assert isinstance(app, Cors)
    assert isinstance(app._app, Application)
    for route in app._app._router.routes:
        yield getattr(route, "path")  # noqa: B009 - not every route that Starlette knows has one


def hide_some(world: World, ana: Client, ben: Client, clock: MovableClock) -> None:
    """A private and an ended image, each with all that can hang on one."""
    with world.archive.database.write() as transaction:
        for table in ("images", "versions", "image_tags", "bookmarks", "version_memberships", "patterns"):
            row = {"name": table, "seq": FAR}
            if not transaction.execute(text("UPDATE sqlite_sequence SET seq = :seq WHERE name = :name"), row).rowcount:
                transaction.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), row)
    group_id = make_group(world, ana, "friends")
    allowed = {"pattern": f"{SECRET}*", "type": "Username", "allow_access": True}
    pattern_id = ana.post("/pattern_matches", json=allowed).json()["id"]
    made = [
        world.image(ana, f"{SECRET} private", description=f"{SECRET} told", tags=(TAG, "Featured")),
        world.image(ana, f"{SECRET} ended", tags=(TAG,)),
    ]
    for image_id in made:
        version_id = add_version(world, ana, image_id, f"{SECRET} {image_id}", change_log=SECRET)
        fill(world, ana, image_id, version_id)
        world.archive.icons.put(world.actor(ana), image_id, _picture())
        assert ana.patch(f"/images/{image_id}", json={"access_list": [pattern_id]}).status_code == 200
        member = {"image_version": version_id, "group": group_id}
        assert ana.post("/image_version_memberships", json=member).status_code == 201
    with world.archive.database.write() as transaction:
        for image_id in made:
            mark = {"uid": f"{image_id:032x}", "user_id": world.actor(ben).user_id, "created_at": clock.now}
            transaction.execute(insert(bookmarks).values(image_id=image_id, **mark))
        transaction.execute(update(images).where(images.c.id == made[0]).values(visibility=Visibility.PRIVATE.value))
        transaction.execute(update(images).where(images.c.id == made[1]).values(end_at=clock.now))


def keys(world: World) -> tuple[list[int], list[str]]:
    """The ids, and the uuids and other names, by which what is hidden could be asked for."""
    ids: set[int] = set()
    names = {icon.removeprefix("/images/") for icon in _icons(world)}
    with world.archive.database.read() as connection:
        for table in (images, versions, bookmarks, version_memberships, patterns):
            for row_id, uid in connection.execute(select(table.c.id, table.c.uid).where(table.c.id > FAR)):
                ids.add(row_id)
                names.add(f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}")
        ids |= set(connection.execute(text("SELECT id FROM image_tags WHERE id > :far"), {"far": FAR}).scalars())
    assert (len(ids), len(names)) == (3, 11)
    return sorted(ids), sorted(names)


def _icons(world: World) -> list[str]:
    with world.archive.database.read() as connection:
        return list(connection.execute(text("SELECT name FROM icons")).scalars())


def asked(client: Client, paths: list[str], ids: list[int], names: list[str]) -> Answers:
    """What every path answers, with each of the keys in it, and each list also to what could find the hidden."""
    all_keys: list[int | str] = [*ids, *names]
    urls = [filled(path, key) for path in paths for key in (all_keys if "{" in path else [""])]
    hidden_keys = (ids[0], names[0]) if names else ids
    queries = [
        f"search={SECRET}", f"tags__name={TAG}", f"tag_name={TAG}", "created_by=ana", "created_by__username=ana",
        "featured=true", "bookmarked=true", "archived=true", "ordering=name", "page=last", "page_size=1",
        *(f"{name}={key}" for name in ("image_id", "application__id", "version_id") for key in hidden_keys),
    ]  # fmt: skip
    lists = [path for path in paths if path.startswith("/api/v2/image") and "{" not in path]
    urls += [f"{path}?{query}" for path in [*lists, "/api/v2/provider_machines"] for query in queries]
    return client.loop.run_until_complete(_asked(client, urls))


async def _asked(client: Client, urls: list[str]) -> Answers:
    """Over one transport for all: there are hundreds."""
    headers = {"Authorization": f"TOKEN {client.token}"} if client.token else {}
    transport = httpx.ASGITransport(app=client.app, raise_app_exceptions=True)
    answers: Answers = {}
    async with httpx.AsyncClient(transport=transport, headers=headers, timeout=None) as http:
        for url in urls:
            answer = await http.get(ORIGIN + url)
            answers[url] = answer.status_code, answer.content
    return answers


def filled(path: str, key: int | str) -> str:
    return path.replace("{key}", str(key)).replace("{name}", str(key))


def _picture() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(written, "PNG")
    return written.getvalue()
