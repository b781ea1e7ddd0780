"""How many statements a request takes: the same however much there is (atmosphere contract, section 12)."""

import uuid

import pytest
from sqlalchemy import insert

from pinakes.core.actor import Kind, Visibility
from pinakes.core.catalogue import records
from pinakes.core.catalogue.records import NewImage
from pinakes.core.db.schema import bookmarks, versions
from tests.contracts.atmosphere.conftest import Client, World
from tests.statements import counted_statements

LOCAL = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
PATHS = (
    "/images",
    "/images?search=image",
    "/images?search=image&tags__name=odd&created_by=ana&bookmarked=true&ordering=-name",
    "/images?page=last&page_size=7",
    "/images/1",
    "/tags",
    "/image_tags",
    "/image_versions",
    "/image_versions?image_id=1",
    "/provider_machines",
    "/image_bookmarks",
)


@LOCAL
def test_a_request_takes_the_same_statements_for_10_images_and_for_60(world: World, ana: Client) -> None:
    """Tags, versions, creators and bookmarks are fetched in bulk; no list takes more than eight."""
    make(world, ana, 10)
    few = {path: statements(world, ana, path) for path in PATHS}
    shown = {path: len(ana.get(path).json().get("results", [])) for path in PATHS}
    make(world, ana, 50)
    assert {path: statements(world, ana, path) for path in PATHS} == few
    assert len(ana.get("/images").json()["results"]) == 60 > shown["/images"] == 10
    assert max(few.values()) <= 8, few


def make(world: World, author: Client, count: int) -> None:
    """Public images with two tags, two versions and a bookmark each."""
    user_id = world.actor(author).user_id
    assert user_id is not None
    with world.archive.database.write() as transaction:
        for number in range(count):
            new = NewImage(Kind.MACHINE, f"image {number}", user_id, visibility=Visibility.PUBLIC)
            image_id = records.add(transaction, new, number)
            tags = ("odd", f"number {number}")
            records.tag(transaction, image_id, [records.ensure_tag(transaction, tag, 0)[0] for tag in tags])
            common = {"image_id": image_id, "created_at": number}
            for name in ("1.0", "1.1"):
                own = {"uid": uuid.uuid4().hex, "name": name, "author_id": user_id, "allows_imaging": True}
                transaction.execute(insert(versions).values(change_log="", **common, **own))
            transaction.execute(insert(bookmarks).values(uid=uuid.uuid4().hex, user_id=user_id, **common))


def statements(world: World, client: Client, path: str) -> int:
    with counted_statements(world.archive.database.engine) as made:
        answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return len(made)
