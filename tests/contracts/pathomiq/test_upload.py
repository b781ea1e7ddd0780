"""The presigned upload: what is accepted, and what becomes of it (pathomiq contract 4.6, 4.7, 5)."""

import hashlib
import json
import zlib
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from pinakes.core.archive import Archive, assemble
from pinakes.core.clock import HOUR, SECOND, to_datetime
from pinakes.core.db.schema import blobs, slides, versions
from pinakes.core.presigned.signatures import sign_v2, sign_v4
from pinakes.core.slides.uploads import UploadOptions
from tests.conftest import Backend, MovableClock
from tests.contracts.pathomiq.conftest import (
    MAX_UPLOAD_BYTES,
    ONE_BACKEND,
    ORIGIN,
    PAGE_ORIGIN,
    PNG,
    Client,
    World,
    answered,
    refused,
)
from tests.contracts.pathomiq.posting import (
    BUCKET,
    FORMER,
    PAIR,
    PLACE,
    TYPE,
    boto3_form,
    form,
    policy_text,
    post,
    refusal,
    seeds_form,
    send,
    signed,
)

MD5 = hashlib.md5(PNG).hexdigest()


@pytest.fixture
def archive_options(archive_options: dict[str, Any]) -> dict[str, Any]:
    """With key pairs that a test can sign with."""
    options = UploadOptions(bucket=BUCKET, key_pairs=(PAIR, FORMER), most_at_once=2)
    return {**archive_options, "upload_options": options}


def blob_count(archive: Archive) -> int:
    with archive.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(blobs)).scalar_one())


def object_count(archive: Archive) -> int:
    return len(list(archive.store.list()))


# -- What POST /Images gives --------------------------------------------------------------------------------------


@ONE_BACKEND
def test_a_new_image_comes_with_the_seeds_form_and_a_policy_of_an_hour(ana: Client, clock: MovableClock) -> None:
    """Contract 4.6: the members of `response`, and what its policy holds."""
    image = ana.create()
    response = image["response"]
    assert list(response) == ["url", "key", "AWSAccessKeyId", "policy", "signature"]
    assert (response["url"], response["key"]) == (f"{ORIGIN}{PLACE}", image["image_unique_id"])
    assert response["signature"] == sign_v2(PAIR.secret, response["policy"])
    policy = json.loads(b64decode(response["policy"]))
    assert policy["conditions"] == [
        {"bucket": BUCKET},
        {"key": image["image_unique_id"]},
        ["content-length-range", 1, MAX_UPLOAD_BYTES],
    ]
    clock.advance(HOUR - SECOND)
    assert send(ana, image, PNG).status_code == 204


def test_a_key_pair_is_made_up_once_where_none_is_given(ana: Client, world: World, backend: Backend) -> None:
    made_up = [
        assemble(backend.database, backend.store, journal_directory=Path("/nonexistent")).slide_uploads._keys.signing
        for _ in range(2)
    ]
    assert made_up[0] == made_up[1]
    assert len(made_up[0].secret) == 40
    assert made_up[0].secret not in repr(made_up[0])


@ONE_BACKEND
def test_version_4_and_more_fields_can_be_asked_for(ana: Client, clock: MovableClock) -> None:
    """Contract D8."""
    presign = {
        "signature_version": "s3v4",
        "expires_in": 60,
        "fields": {"Content-Type": "image/png", "success_action_status": "201"},
        "conditions": [["starts-with", "$Content-Type", "image/"], {"Success_Action_Status": "201"}],
    }
    response = ana.create(presign=presign)["response"]
    assert set(response) == {
        "url",
        "key",
        "Content-Type",
        "success_action_status",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "policy",
        "x-amz-signature",
    }
    day = response["x-amz-date"][:8]
    assert response["x-amz-signature"] == sign_v4(PAIR.secret, day, "us-east-1", response["policy"])
    policy = json.loads(b64decode(response["policy"]))
    assert policy["conditions"][-2:] == presign["conditions"]
    ends = to_datetime(clock() + 60 * SECOND).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert policy["expiration"] == ends
    assert post(ana, form(seeds_form(response), PNG)).status_code == 201


PRESIGNS: list[Any] = [
    [],
    {"expires_in": 0},
    {"expires_in": 604_801},
    {"expires_in": True},
    {"expires_in": "60"},
    {"signature_version": "s3v5"},
    {"signature_version": []},
    {"fields": []},
    {"fields": {"acl": "public-read"}},
    {"fields": {"x-amz-meta-": "a"}},
    {"fields": {"key": "other"}},
    {"fields": {"Content-Type": 5}},
    {"fields": {"Content-Type": "a", "content-type": "b"}},
    {"fields": {"x-amz-meta-a": "a" * 9000}},
    {"conditions": {}},
    {"conditions": [{}]},
    {"conditions": [{"a": "b", "c": "d"}]},
    {"conditions": [{"acl": 1}]},
    {"conditions": [["eq", "$acl"]]},
    {"conditions": [["eq", "acl", "private"]]},
    {"conditions": [["ends-with", "$acl", "private"]]},
    {"conditions": [["content-length-range", -1, 5]]},
    {"conditions": [["content-length-range", 6, 5]]},
    {"conditions": [["content-length-range", "a", 5]]},
    {"conditions": [["content-length-range", 1, True]]},
    {"conditions": [["content-length-range", 1, 10**30]]},
    {"conditions": [["content-length-range", 1, "9" * 5000]]},
    {"conditions": [{"bucket": BUCKET}]},
    {"conditions": [["starts-with", "$Bucket", ""]]},
    {"conditions": [[[[]]]]},
]


@ONE_BACKEND
def test_a_presign_that_no_upload_could_satisfy_is_refused_and_makes_no_image(ana: Client) -> None:
    """Contract 4.6."""
    for presign in PRESIGNS:
        refused(ana.post("/Images", json={"filename": "Test.png", "presign": presign}), 400)
    assert answered(ana.get(f"/Images/userid/{ana.user_id}")) == []


# -- What is accepted ---------------------------------------------------------------------------------------------


def test_the_seeds_form_stages_a_file_which_becomes_content_with_put(ana: Client, nobody: Client) -> None:
    """Contract 4.7, 3.1: only PUT makes it visible, and it comes back byte for byte, with the upload's ETag."""
    image = ana.create()
    answer = send(nobody, image, PNG)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["etag"] == f'"{MD5}"'
    assert answer.headers["location"] == f"{ORIGIN}{PLACE}/{image['image_unique_id']}"
    assert ana.show(image)["status"] == "In Progress"
    assert ana.get(f"/S3/file/{image['image_unique_id']}").status_code == 404
    assert answered(ana.put(f"/Images/{image['id']}", json={"status": "Uploaded"}))["status"] == "Uploaded"
    download = ana.get(f"/S3/file/{image['image_unique_id']}")
    assert (download.content, download.headers["etag"]) == (PNG, f'"{MD5}"')
    assert ana.log(image, "Upload") == [f'{len(PNG)} bytes were received, ETag "{MD5}".']
    assert "The status is now Uploaded." in ana.log(image, "Image")


def test_the_etag_is_kept_with_the_version(ana: Client, world: World) -> None:
    image = ana.create()
    send(ana, image, PNG)
    ana.put(f"/Images/{image['id']}", json={"status": "Uploaded"})
    with world.archive.database.read() as connection:
        row = connection.execute(select(versions.c.name, versions.c.etag, versions.c.format)).one()
        staged = connection.execute(select(slides.c.staged_digest, slides.c.staged_etag)).one()
    assert tuple(row) == ("1.0", MD5, "png")
    assert tuple(staged) == (None, None)
    assert blob_count(world.archive) == object_count(world.archive) == 1


def test_put_without_a_file_is_a_conflict(ana: Client) -> None:
    """Contract 3.1."""
    image = ana.create()
    assert (
        refused(ana.put(f"/Images/{image['id']}", json={"status": "Uploaded"}), 409)["image"]["status"] == "In Progress"
    )


def test_a_later_upload_replaces_the_staged_one_whole(ana: Client, world: World) -> None:
    """Contract D5; the former bytes are gone from the store."""
    image = ana.create()
    for content in (PNG, PNG + b"2", PNG + b"2", PNG):
        assert send(ana, image, content).status_code == 204
        assert blob_count(world.archive) == object_count(world.archive) == 1
    ana.put(f"/Images/{image['id']}", json={"status": "Uploaded"})
    assert ana.get(f"/S3/file/{image['image_unique_id']}").content == PNG


def test_a_form_changes_nothing_once_the_image_is_uploaded(ana: Client, world: World) -> None:
    """Contract 5.4, 5.5: bytes under a diagnosis never change, however long the policy is valid."""
    image = ana.create()
    send(ana, image, PNG)
    ana.put(f"/Images/{image['id']}", json={"status": "Uploaded"})
    answer = send(ana, image, b"other bytes")
    assert (answer.status_code, refusal(answer).code) == (409, "OperationAborted")
    assert ana.log(image, "Upload")[1:] == ["An upload was refused: OperationAborted."]
    assert ana.get(f"/S3/file/{image['image_unique_id']}").content == PNG
    assert blob_count(world.archive) == object_count(world.archive) == 1


def test_a_failed_image_still_takes_an_upload(ana: Client) -> None:
    image = ana.create()
    ana.put(f"/Images/{image['id']}", json={"status": "Failed"})
    assert send(ana, image, PNG).status_code == 204
    assert answered(ana.put(f"/Images/{image['id']}", json={"status": "Uploaded"}))["status"] == "Uploaded"


@ONE_BACKEND
def test_forms_made_by_boto3_with_a_pair_of_ours_are_accepted(ana: Client) -> None:
    for pair in (PAIR, FORMER):
        for version in ("s3", "s3v4"):
            fields = boto3_form(ana.create()["image_unique_id"], signature_version=version, pair=pair)
            assert post(ana, form(fields, PNG)).status_code == 204


@ONE_BACKEND
def test_a_policy_may_be_wider_than_ours_and_is_still_confined(ana: Client) -> None:
    """Contract 5.4: a beginning of a key is enough for the policy, but the key must be an image's uid."""
    uid = ana.create()["image_unique_id"]
    fields = boto3_form("${filename}", conditions=None)
    policy = dict(fields)["key"]
    assert policy == "${filename}"
    assert post(ana, form(fields, PNG, file_name=f"a/b\\{uid}")).status_code == 204
    assert refusal(post(ana, form(fields, PNG, file_name=f"{uid}/../x"))).code == "AccessDenied"


@ONE_BACKEND
def test_names_of_fields_have_no_case_and_the_file_needs_no_name(ana: Client) -> None:
    """Contract 5.2."""
    fields = [(name.upper(), value) for name, value in seeds_form(ana.create()["response"])]
    assert post(ana, form(fields, PNG, file_name=None)).status_code == 204


@ONE_BACKEND
def test_whatever_follows_the_file_is_ignored(ana: Client) -> None:
    """Contract 5.2: also a second file, a field that would not be allowed, and what is no form at all."""
    image = ana.create()
    after = [("file", "another"), ("key", "another"), ("x-evil", "1"), ("long", "x" * 50_000)]
    whole = form(seeds_form(image["response"]), PNG, after=after)
    assert post(ana, whole).headers["etag"] == f'"{MD5}"'
    assert post(ana, whole[: -len(b"--edge0123456789--\r\n")] + b"no form").headers["etag"] == f'"{MD5}"'


@ONE_BACKEND
def test_a_trailing_slash_and_an_authorization_header_change_nothing(ana: Client, nobody: Client) -> None:
    fields = seeds_form(ana.create()["response"])
    answer = post(nobody, form(fields, PNG), place=f"{PLACE}/", Authorization="Basic bm9ib2R5")
    assert answer.status_code == 204


@ONE_BACKEND
def test_the_success_status_is_the_forms_choice(ana: Client) -> None:
    """Contract 5.5."""
    uid = ana.create()["image_unique_id"]

    def sent(status: str) -> Any:
        chosen = {"success_action_status": status}
        return post(ana, form(boto3_form(uid, fields=chosen, conditions=[chosen]), PNG))

    assert (sent("200").status_code, sent("200").content) == (200, b"")
    assert sent("404").status_code == 204
    made = sent("201")
    assert (made.status_code, made.headers["content-type"]) == (201, "application/xml")
    assert made.text.endswith(
        f"<PostResponse><Location>{ORIGIN}{PLACE}/{uid}</Location><Bucket>{BUCKET}</Bucket><Key>{uid}</Key>"
        f'<ETag>"{MD5}"</ETag></PostResponse>'
    )


REDIRECTS = {
    "https://lab.example/done": "https://lab.example/done?{added}",
    "http://lab.example/done?a=b c#end": "http://lab.example/done?a=b%20c&{added}#end",
    "https://lab.example/\r\nSet-Cookie: a=b": "https://lab.example/Set-Cookie:%20a=b?{added}",
    "/done": None,
    "javascript:alert(1)": None,
    "https:///nowhere": None,
    "https://[": None,
}


@ONE_BACKEND
def test_a_redirect_is_followed_only_to_an_address_on_the_web(ana: Client) -> None:
    """Contract 5.5: and never after a failure."""
    uid = ana.create()["image_unique_id"]
    added = f"bucket={BUCKET}&key={uid}&etag=%22{MD5}%22"
    for field in ("success_action_redirect", "redirect"):
        for target, location in REDIRECTS.items():
            fields = boto3_form(uid, fields={field: target}, conditions=[{field: target}])
            answer = post(ana, form(fields, PNG))
            if location is None:
                assert answer.status_code == 204, target
            else:
                assert (answer.status_code, answer.headers["location"]) == (303, location.format(added=added))
            assert post(ana, form(fields, b"")).status_code == 400


@ONE_BACKEND
def test_digests_sent_along_are_compared_and_need_no_condition(ana: Client) -> None:
    """Contract 5.3, 5.5."""
    image = ana.create()
    for name, digest in {
        "Content-MD5": hashlib.md5(PNG).digest(),
        "x-amz-checksum-crc32": zlib.crc32(PNG).to_bytes(4),
        "x-amz-checksum-sha1": hashlib.sha1(PNG).digest(),
        "x-amz-checksum-sha256": hashlib.sha256(PNG).digest(),
    }.items():
        claim = (name, b64encode(digest).decode())
        assert send(ana, image, PNG, claim).status_code == 204
        wrong = send(ana, image, PNG + b"!", claim)
        assert (wrong.status_code, refusal(wrong).code) == (400, "BadDigest")


@ONE_BACKEND
def test_pages_of_an_allowed_origin_may_post_and_read_the_etag(ana: Client, nobody: Client) -> None:
    """Contract 5.5: OPTIONS answers the preflight."""
    asked = {"Origin": PAGE_ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = nobody.request("OPTIONS", PLACE, headers=asked)
    assert preflight.status_code == 200
    assert "POST" in preflight.headers["access-control-allow-methods"]
    answer = post(nobody, form(seeds_form(ana.create()["response"]), PNG), Origin=PAGE_ORIGIN)
    assert answer.headers["access-control-allow-origin"] == PAGE_ORIGIN
    assert {"ETag", "Location"} <= set(answer.headers["access-control-expose-headers"].split(", "))


def test_the_image_of_another_owner_is_logged_as_its_own(ana: Client, ben: Client, world: World) -> None:
    """A policy signed by hand, for two images: each upload is told of in its own log."""
    mine, other = ana.create(), ben.create()
    policy = policy_text([["starts-with", "$key", ""]], world.archive.clock())
    for image in (mine, other):
        assert post(ana, form(signed(image["image_unique_id"], policy), PNG)).status_code == 204
    assert len(ben.log(other, "Upload")) == len(ana.log(mine, "Upload")) == 1


@ONE_BACKEND
def test_content_type_of_a_form_may_be_written_in_any_case(ana: Client) -> None:
    image = ana.create()
    body = form(seeds_form(image["response"]), PNG)
    assert post(ana, body, **{"Content-Type": TYPE.replace("multipart", "Multipart")}).status_code == 204
