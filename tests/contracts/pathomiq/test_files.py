"""PathomIQ contract 4.11: the committed bytes of an image."""

import hashlib

from sqlalchemy import select

from pinakes.core.audit import Action, of_image
from pinakes.core.db.schema import events
from tests.contracts.pathomiq.conftest import NOBODYS_UID, ONE_BACKEND, PNG, Client, Json, World, refused, share

CONTENT = bytes(range(256)) * 40


def path_of(image: Json) -> str:
    return f"/S3/file/{image['image_unique_id']}"


def reads(world: World, image: Json) -> int:
    """How many reads of the image's content the audit trail knows of."""
    world.archive.trail.flush()
    with world.archive.database.read() as connection:
        return sum(event.action == Action.CONTENT_READ for event in of_image(connection, image["id"]))


def test_4_11_it_comes_back_byte_for_byte(world: World, ana: Client) -> None:
    image = world.uploaded(ana, "a.svs", CONTENT)
    answer = ana.get(path_of(image))
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["etag"] == f'"{hashlib.md5(CONTENT).hexdigest()}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == 'attachment; filename="a.svs"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert image["base_download_url"] + f"/{image['image_unique_id']}" == str(answer.request.url)


@ONE_BACKEND
def test_4_11_the_type_is_judged_by_the_bytes(world: World, ana: Client) -> None:
    for content, wanted in (
        (PNG, "image/png"),
        (b"II*\0" + b"\0" * 8, "image/tiff"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "application/octet-stream"),
        (b"<html><script>", "application/octet-stream"),
        (b"%PDF-1.7", "application/octet-stream"),
    ):
        image = world.uploaded(ana, "a.html", content)
        assert ana.get(path_of(image)).headers["content-type"] == wanted


@ONE_BACKEND
def test_4_11_a_name_beyond_ascii_is_given_twice(world: World, ana: Client) -> None:
    image = world.uploaded(ana, 'Präparat "1" 100%.svs')
    assert ana.get(path_of(image)).headers["content-disposition"] == (
        "attachment; filename=\"Pr_parat _1_ 100_.svs\"; filename*=UTF-8''Pr%C3%A4parat%20%221%22%20100%25.svs"
    )


def test_4_11_ranges_and_conditions(world: World, ana: Client) -> None:
    image = world.uploaded(ana, "a.svs", CONTENT)
    path, size = path_of(image), len(CONTENT)
    etag = ana.get(path).headers["etag"]
    for given, start, end in (
        ("0-0", 0, 1),
        ("10-19", 10, 20),
        ("-5", size - 5, size),
        (f"{size - 1}-", size - 1, size),
    ):
        answer = ana.get(path, headers={"Range": f"bytes={given}"})
        assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    answer = ana.get(path, headers={"Range": f"bytes={size}-"})
    refused(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{size}"
    unchanged = ana.get(path, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    refused(ana.get(path, headers={"If-Match": '"other"'}), 412)
    assert ana.get(path, headers={"Range": "bytes=0-0", "If-Range": '"other"'}).status_code == 200
    head = ana.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
    assert head.headers["etag"] == etag


def test_4_11_what_is_not_committed_or_not_visible_is_unknown(world: World, ana: Client, ben: Client) -> None:
    pending, committed = ana.create(), world.uploaded(ana)
    refused(ana.get(path_of(pending)), 404)
    refused(ben.get(path_of(committed)), 404)
    for uid in (NOBODYS_UID, "x", "..", "%2e%2e", "%2Fetc%2Fpasswd", "%00", "%FF", str(committed["id"]), "9" * 5000):
        refused(ana.get(f"/S3/file/{uid}"), 404)
    refused(world.stranger().get(path_of(committed)), 401)
    refused(world.user("ana", scope="image:write,delete").get(path_of(committed)), 403)


def test_4_11_every_read_is_in_the_audit_trail(world: World, ana: Client, ben: Client) -> None:
    image = world.uploaded(ana)
    share(ana, image, ben)
    etag = ana.head(path_of(image)).headers["etag"]
    ana.get(path_of(image), headers={"If-None-Match": etag})
    assert reads(world, image) == 0
    ben.get(path_of(image))
    ana.get(path_of(image), headers={"Range": "bytes=0-1"})
    assert reads(world, image) == 2
    with world.archive.database.read() as connection:
        statement = select(events.c.actor_id).where(events.c.action == Action.CONTENT_READ.value).order_by(events.c.id)
        assert list(connection.execute(statement).scalars()) == [ben.user_id, ana.user_id]
