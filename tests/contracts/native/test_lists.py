"""Lists: as many SQL statements however much is on a page, and the same for whoever may not see it."""

import pytest

from tests.contracts.native.conftest import Client, World, content_path
from tests.statements import counted_statements

pytestmark = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)

MOST_STATEMENTS = 10


def test_a_list_takes_the_same_statements_however_long(world: World, ana: Client, ben: Client) -> None:
    """Issue 3, item 7."""
    first = ana.image("the first")
    lists = {
        "/vm-images": 0,
        "/vm-images?mine=true&search=image": 0,
        f"/vm-images/{first['id']}/versions": 0,
        f"/vm-images/{first['id']}/shares": 0,
        "/groups": 0,
        "/tags": 0,
        "/jobs": 0,
        "/images": 0,
        "/images?kind=machine&state=waiting": 0,
        f"/images/{first['id']}/events": 0,
    }
    for turn, count in enumerate((1, 4)):
        for number in range(count):
            name = f"image {turn} {number}"
            ana.post("/tags", json={"name": name, "description": name})
            ana.filled(ana.image(name, tags=[name], ci_name=f"n{turn}-{number}", namespace=f"n{number}")["id"])
            version = ana.filled(first["id"], parent=ana.version(first["id"])["id"])
            waiting = ana.version(first["id"])
            if number < 4:  # a user may have so many waiting
                started = ana.post(
                    content_path(waiting).replace("content", "import"), json={"url": "https://a.example"}
                )
                assert started.status_code == 202, started.text
            member = f"m{turn}-{number}"
            world.user(member)
            ana.post("/groups", json={"name": name, "members": [member]})
            shares = ana.get(f"/vm-images/{first['id']}/shares").json()
            shares["users"].append({"username": member})
            shares["groups"].append({"name": name})
            assert ana.put(f"/vm-images/{first['id']}/shares", json=shares).status_code == 200
            assert version["parent"] is not None
        for path, taken in lists.items():
            with counted_statements(world.archive.database.engine) as statements:
                answer = ana.get(path)
            assert answer.status_code == 200
            held = answer.json().get("items", answer.json().get("users"))
            assert len(held) > turn * 3
            assert len(statements) <= MOST_STATEMENTS, (path, statements)
            assert turn == 0 or len(statements) == taken, (path, statements)
            lists[path] = len(statements)


def test_versions_and_tags_are_walked_by_cursors(ana: Client) -> None:
    image_id = ana.image()["id"]
    versions = [ana.version(image_id)["id"] for _ in range(5)]
    tags = [ana.post("/tags", json={"name": f"t{number}", "description": "x"}).json()["id"] for number in range(5)]
    for path, ids in ((f"/vm-images/{image_id}/versions", versions), ("/tags", tags)):
        walked: list[int] = []
        cursor: str | None = "1"
        while cursor is not None:
            page = ana.get(f"{path}?limit=2&cursor={cursor}").json()
            walked += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert walked == ids
        assert ana.get(f"{path}?cursor={2**63 - 1}").json() == {"items": [], "next_cursor": None}


def test_what_may_not_be_seen_is_answered_like_what_is_not_there(ana: Client, ben: Client, nobody: Client) -> None:
    """No existence oracle: the same status, type and words, whatever is tried."""
    image = ana.image("secret", ci_name="secret")
    version = ana.filled(image["id"])
    group = ana.post("/groups", json={"name": "lab"}).json()

    def tried(client: Client, image_id: int, version_id: int, group_id: int) -> list[tuple[int, str]]:
        path, of_version = f"/vm-images/{image_id}", f"/vm-images/{image_id}/versions/{version_id}"
        answers = [
            client.get(path),
            client.patch(path, json={"name": "x"}),
            client.patch(path, json={"tags": ["none"]}),
            client.delete(path),
            client.post(f"{path}/restore"),
            client.post(f"{path}/purge"),
            client.post(f"{path}/transfer", json={"username": "nobody-there"}),
            client.patch(f"{path}/moderation", json={}),
            client.get(f"{path}/shares"),
            client.put(f"{path}/shares", json={"users": [{"username": "nobody-there"}]}),
            client.put(f"{path}/icon", content=b"x"),
            client.delete(f"{path}/icon"),
            client.get(f"{path}/versions"),
            client.post(f"{path}/versions", json={"min_cpu": 99}),
            client.get(of_version),
            client.patch(of_version, json={"name": "x"}),
            client.patch(of_version, json={"min_cpu": 99}),
            client.get(f"{of_version}/content"),
            client.get(f"{of_version}/content", headers={"If-Match": '"x"', "Range": "bytes=9999-"}),
            client.request("HEAD", f"{of_version}/content"),
            client.put(f"{of_version}/content", content=b"x", headers={"Content-Encoding": "gzip"}),
            client.post(f"{of_version}/import", json={"url": "no url"}),
            client.get(f"/images/{image_id}"),
            client.get(f"/images/{image_id}/thumbnail"),
            client.get(f"/images/{image_id}/thumbnail.png?version=9.9"),
            client.get(f"/images/{image_id}/description"),
            client.post(f"/images/{image_id}/ingest"),
            client.post(f"/images/{image_id}/view-links", json={"seconds": 60}),
            client.get(f"/images/{image_id}/events"),
            client.get(f"/groups/{group_id}"),
            client.patch(f"/groups/{group_id}", json={"name": ""}),
            client.delete(f"/groups/{group_id}"),
            client.delete(f"/groups/{group_id}/members/ana"),
        ]
        return [(answer.status_code, answer.text) for answer in answers]

    for client in (ben, nobody):
        hidden = tried(client, image["id"], version["id"], group["id"])
        assert hidden == tried(client, 9999, 9999, 9999)
        assert {status for status, _ in hidden} <= {400, 401, 404}
    assert ben.post("/vm-images", json={"name": "mine", "ci_name": "secret"}).status_code == 201
    assert ana.get(f"/vm-images/{image['id']}").json()["name"] == "secret"
