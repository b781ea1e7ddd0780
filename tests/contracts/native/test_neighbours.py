"""What is registered here, as the other APIs show it (issue: one archive, four views of it)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pinakes.apis import atmosphere, djinn
from pinakes.core.archive import Archive
from tests.contracts.native.conftest import ORIGIN, QCOW2, Client, World, make_world
from tests.contracts.native.test_icons import picture

pytestmark = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    yield from make_world(archive, tmp_path, djinn.API, atmosphere.API)


def test_the_content_of_a_named_image_comes_out_of_djinn_ci_too(ana: Client, ben: Client) -> None:
    """Issue 3, item 2: where it has a Djinn name; nobody else sees anything of it."""
    content = QCOW2 + bytes(range(256)) * 300
    image = ana.image("Debian 12", ci_name="debian-12")
    ana.filled(image["id"], content)
    ana.filled(image["id"], b"# Disk DescriptorFile")
    unnamed = ana.image("plain")
    ana.filled(unnamed["id"])
    path = f"{ORIGIN}/djinn/images/{image['id']}"
    answer = ana.get(path, headers={"Accept": "application/x-qemu-disk"})
    assert (answer.status_code, answer.content) == (200, content)
    assert ana.get(f"{ORIGIN}/djinn/images/{unnamed['id']}").status_code == 404
    hidden, missing = ben.get(path), ben.get(f"{ORIGIN}/djinn/images/99")
    assert (hidden.status_code, hidden.text) == (missing.status_code, missing.text)
    assert hidden.status_code == 404


def test_an_image_with_its_version_and_icon_is_in_atmosphere(ana: Client, ben: Client, nobody: Client) -> None:
    """Contract 11, the mapping: committed content is one entry of `machines`; the icon's path works as it is shown."""
    ana.post("/tags", json={"name": "gpu", "description": "With drivers."})
    image = ana.image("Debian 12", is_public=True, tags=["gpu"])
    version = ana.filled(image["id"])
    ana.put(f"/vm-images/{image['id']}/icon", content=picture())
    icon = ana.get(f"/vm-images/{image['id']}").json()["icon"]
    shown = nobody.get(f"{ORIGIN}/api/v2/images/{image['uuid']}").json()
    assert (shown["id"], shown["name"], shown["created_by"]["username"]) == (image["id"], "Debian 12", "ana")
    assert [tag["name"] for tag in shown["tags"]] == ["gpu"]
    assert shown["versions"][0]["id"] == version["id"]
    assert shown["icon"].endswith(icon)
    seen = nobody.get(ORIGIN + icon)
    assert (seen.status_code, seen.headers["content-type"], seen.content[:4]) == (200, "image/png", b"\x89PNG")
    machines = nobody.get(f"{ORIGIN}/api/v2/image_versions/{version['id']}").json()["machines"]
    assert len(machines) == 1
    ana.delete(f"/vm-images/{image['id']}")
    for path in (f"{ORIGIN}/api/v2/images/{image['id']}", ORIGIN + icon):
        assert {client.get(path).status_code for client in (nobody, ben)} == {404}
