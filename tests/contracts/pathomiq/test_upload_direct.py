"""Slides that go straight to a bucket of a real S3 server, by the same client code (pathomiq contract 6)."""

import hashlib
import json
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from pinakes.core.archive import Archive, assemble
from pinakes.core.clock import HOUR
from pinakes.core.content.inbox import Arrived, Inbox, InboxOptions
from pinakes.core.content.stores import S3Options, open_inbox, open_store
from pinakes.core.content.sweep import Sweep
from pinakes.core.db.engine import Database
from pinakes.core.errors import StoreUnavailable
from pinakes.core.slides.uploads import UploadOptions
from pinakes.server.maintenance import Maintenance
from tests import servers
from tests.conftest import MovableClock
from tests.contracts.pathomiq.conftest import MAX_UPLOAD_BYTES, NOBODYS_UID, PNG, Client, Json, answered, refused
from tests.contracts.pathomiq.posting import form, post, refusal, seeds_form

ONE_BUCKET = pytest.mark.parametrize("bucket", ["plain"], indirect=True)
"""For what is the same whether the bucket keeps versions or not."""

ETAG = hashlib.md5(PNG).hexdigest()


class Bucket:
    """The bucket as its owner sees it."""

    def __init__(self, name: str, options: S3Options) -> None:
        self.name = name
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=options.endpoint,
            region_name=options.region,
            aws_access_key_id=options.access_key,
            aws_secret_access_key=options.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def versions(self, key: str) -> int:
        found = self.client.list_object_versions(Bucket=self.name, Prefix=key)
        return len(found.get("Versions", ())) + len(found.get("DeleteMarkers", ()))

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)


def _nothing(key: str) -> None:
    pass


class Interrupted:
    """The inbox, with something happening just before an object is pinned."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.before_pin: Any = _nothing
        self.is_down = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbox, name)

    def pin(self, arrived: Arrived, key: str) -> bool:
        self.before_pin(arrived.key)
        return self._inbox.pin(arrived, key)

    def remove(self, key: str) -> None:
        if self.is_down:
            raise StoreUnavailable
        self._inbox.remove(key)


@pytest.fixture(params=["plain", "versioned"])
def bucket(request: pytest.FixtureRequest, s3_bucket: str, s3_options: S3Options) -> Bucket:
    if request.param == "plain":
        return Bucket(s3_bucket, s3_options)
    versioned: Bucket = request.getfixturevalue("versioned_bucket")
    return versioned


@pytest.fixture(scope="session")
def versioned_bucket(s3_server: servers.S3Server) -> Bucket:
    """A bucket that keeps every version, shared by tests as the other one is."""
    bucket = Bucket("versioned", s3_server.options)
    bucket.client.create_bucket(Bucket=bucket.name)
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.fixture
def inbox(bucket: Bucket, s3_url: str, s3_options: S3Options) -> Interrupted:
    inbox = open_inbox(s3_url.replace("//pinakes/", f"//{bucket.name}/"), s3=s3_options)
    assert inbox is not None
    return Interrupted(inbox)


@pytest.fixture
def archive(
    sqlite_url: str,
    s3_url: str,
    bucket: Bucket,
    s3_options: S3Options,
    inbox: Interrupted,
    clock: MovableClock,
    tmp_path: Path,
) -> Iterator[Archive]:
    """One database will do: what is tried is the bucket."""
    archive = assemble(
        Database(sqlite_url),
        open_store(s3_url.replace("//pinakes/", f"//{bucket.name}/"), s3=s3_options),
        journal_directory=tmp_path / "journals",
        clock=clock,
        max_upload_bytes=MAX_UPLOAD_BYTES,
        upload_options=UploadOptions(),
        inbox=inbox,
    )
    yield archive
    archive.close()


def send(image: Json, content: bytes = PNG) -> httpx.Response:
    """The seed's own form, to the address it was given with."""
    response = image["response"]
    with httpx.Client() as client:
        return client.post(response["url"], data=dict(seeds_form(response)), files={"file": ("Test.png", content)})


def commit(client: Client, image: Json) -> httpx.Response:
    return client.put(f"/Images/{image['id']}", json={"status": "Uploaded"})


def test_the_same_client_code_works_with_a_real_bucket(ana: Client, bucket: Bucket, archive: Archive) -> None:
    image = ana.create()
    uid = image["image_unique_id"]
    assert send(image).status_code == 204
    assert ana.show(image)["status"] == "In Progress"
    assert answered(commit(ana, image))["status"] == "Uploaded"
    download = ana.get(f"/S3/file/{uid}")
    assert (download.content, download.headers["etag"]) == (PNG, f'"{ETAG}"')
    assert ana.log(image, "Upload") == [f'{len(PNG)} bytes were received, ETag "{ETAG}".']
    assert bucket.versions(uid) == 0
    assert len(list(archive.store.list())) == 1
    assert answered(commit(ana, image))["status"] == "Uploaded"


@ONE_BUCKET
def test_the_form_is_the_buckets_own(ana: Client, bucket: Bucket, s3_options: S3Options) -> None:
    """Contract 6: version 4 unless asked otherwise, and at most 5 GiB or the limit here."""
    image = ana.create(presign={"expires_in": 60, "conditions": [["starts-with", "$Content-Type", ""]]})
    response = image["response"]
    assert response["url"] == f"{s3_options.endpoint}/{bucket.name}"
    assert set(response) == {
        "url",
        "key",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "policy",
        "x-amz-signature",
    }
    conditions = json.loads(b64decode(response["policy"]))["conditions"]
    assert ["content-length-range", 1, MAX_UPLOAD_BYTES] in conditions
    assert {"bucket": bucket.name} in conditions
    assert {"key": image["image_unique_id"]} in conditions
    assert ["starts-with", "$Content-Type", ""] in conditions


@ONE_BUCKET
def test_version_2_is_signed_when_asked_for(ana: Client) -> None:
    image = ana.create(presign={"signature_version": "s3"})
    assert set(image["response"]) == {"url", "key", "AWSAccessKeyId", "policy", "signature"}
    assert send(image).status_code == 204


@ONE_BUCKET
def test_nothing_is_posted_to_pinakes_itself(ana: Client) -> None:
    image = ana.create()
    assert refusal(post(ana, form(seeds_form(image["response"]), PNG))).code == "NoSuchBucket"


@ONE_BUCKET
def test_put_before_the_bucket_has_anything_is_a_conflict(ana: Client) -> None:
    refused(commit(ana, ana.create()), 409)


@ONE_BUCKET
def test_what_the_bucket_took_beyond_the_limits_is_not_committed(ana: Client, bucket: Bucket, archive: Archive) -> None:
    """Whatever put it there: the bucket's own judgement is not leaned on."""
    image = ana.create()
    for content in (b"", bytes(MAX_UPLOAD_BYTES + 1)):
        bucket.put(image["image_unique_id"], content)
        refused(commit(ana, image), 409)
    assert ana.log(image, "Upload") == ["An upload was refused: EntityTooLarge."]  # the empty one is none at all
    assert list(archive.store.list()) == []


def test_an_object_replaced_while_it_is_committed_is_a_conflict_and_nothing_is_kept(
    ana: Client, bucket: Bucket, inbox: Interrupted, archive: Archive
) -> None:
    """Contract 6: a 409 and a line of the log, never silent use of other bytes; all or nothing, as every PUT.

    A bucket that keeps versions still has those that were found.
    """
    image = ana.create()
    send(image)
    inbox.before_pin = lambda key: bucket.put(key, b"other bytes")
    answer = ana.put(f"/Images/{image['id']}", json={"status": "Uploaded", "location": "shelf 4"})
    if bucket.name == "versioned":
        assert answered(answer)["status"] == "Uploaded"
        assert ana.get(f"/S3/file/{image['image_unique_id']}").content == PNG
    else:
        body = refused(answer, 409)
        assert "replaced" in body["status"]
        assert (body["image"]["status"], body["image"]["location"]) == ("In Progress", None)
        assert ana.log(image, "Upload") == ["An upload was refused: PreconditionFailed."]
        assert list(archive.store.list()) == []
        inbox.before_pin = _nothing
        commit(ana, image)
        assert ana.get(f"/S3/file/{image['image_unique_id']}").content == b"other bytes"


def test_a_replay_after_the_commit_changes_nothing_and_is_swept(ana: Client, bucket: Bucket, archive: Archive) -> None:
    image, waiting = ana.create(), ana.create()
    uid = image["image_unique_id"]
    send(image)
    commit(ana, image)
    assert send(image, b"other bytes").status_code == 204  # the bucket cannot know better
    send(waiting)
    assert ana.get(f"/S3/file/{uid}").content == PNG
    archive.slide_uploads.sweep()
    assert (bucket.versions(uid), bucket.versions(waiting["image_unique_id"])) == (0, 1)
    assert ana.get(f"/S3/file/{uid}").content == PNG


def test_delete_takes_every_version_and_a_replay_brings_nothing_back(
    ana: Client, bucket: Bucket, archive: Archive
) -> None:
    """Contract 4.10."""
    image = ana.create()
    uid = image["image_unique_id"]
    for content in (PNG, PNG + b"2"):
        send(image, content)
    ana.delete(f"/Images/{uid}")
    assert bucket.versions(uid) == 0
    send(image)
    assert ana.get(f"/Images/{uid}").status_code == 404
    archive.slide_uploads.sweep()
    assert bucket.versions(uid) == 0


def test_what_cannot_be_removed_now_is_removed_by_the_sweep(
    ana: Client, bucket: Bucket, inbox: Interrupted, archive: Archive
) -> None:
    """Contract 4.10: the record is gone at once, the clean-up is retried."""
    image = ana.create()
    uid = image["image_unique_id"]
    send(image)
    inbox.is_down = True
    assert ana.delete(f"/Images/{uid}").status_code == 200
    assert bucket.versions(uid) == 1
    inbox.is_down = False
    archive.slide_uploads.sweep()
    assert bucket.versions(uid) == 0


@ONE_BUCKET
def test_a_server_sweeps_the_inbox_in_the_background(ana: Client, bucket: Bucket, archive: Archive) -> None:
    """What an old form brought after a commit goes; what waits for its commit stays."""
    image, waiting = ana.create(), ana.create()
    uid = image["image_unique_id"]
    send(image)
    commit(ana, image)
    send(waiting)
    send(image, b"other bytes")
    maintenance = Maintenance(archive, every_seconds=0.05, min_age_seconds=3600, start_seconds=0)
    maintenance.start()
    deadline = time.monotonic() + 30
    while bucket.versions(uid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    maintenance.stop()
    assert answered(commit(ana, waiting))["status"] == "Uploaded"


@ONE_BUCKET
def test_the_sweep_leaves_what_is_not_ours(bucket: Bucket, archive: Archive) -> None:
    """A bucket may hold other people's objects, also such as look like ours."""
    for key in (NOBODYS_UID, "readme.txt"):
        bucket.put(key, b"somebody else's")
    archive.slide_uploads.sweep()
    assert bucket.versions(NOBODYS_UID) == bucket.versions("readme.txt") == 1
    for key in (NOBODYS_UID, "readme.txt"):
        bucket.client.delete_object(Bucket=bucket.name, Key=key)


@ONE_BUCKET
def test_a_copy_that_was_never_adopted_is_an_orphan_for_the_sweep(
    ana: Client, inbox: Interrupted, archive: Archive, clock: MovableClock
) -> None:
    """As after a crash between the copy and the row."""
    image = ana.create()
    send(image)
    arrived = inbox.find(image["image_unique_id"])
    assert arrived is not None
    assert inbox.pin(arrived, "5" * 32)
    clock.advance(2 * HOUR)
    assert Sweep(archive.database, archive.store, clock, min_age_us=HOUR).run().orphans_removed == 1
    assert list(archive.store.list()) == []


@ONE_BUCKET
def test_a_commit_that_fails_at_its_end_leaves_what_was_sent_to_be_committed_again(
    ana: Client, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = ana.create()
    send(image)
    with monkeypatch.context() as patch:
        patch.setattr(archive.slides, "_apply", _unavailable)
        refused(commit(ana, image), 503)
    assert list(archive.store.list()) == []
    assert ana.log(image, "Upload") == []
    assert answered(commit(ana, image))["status"] == "Uploaded"
    assert ana.get(f"/S3/file/{image['image_unique_id']}").content == PNG


def _unavailable(*_: object) -> None:
    raise StoreUnavailable


@ONE_BUCKET
def test_two_commits_at_once_make_one_version(ana: Client, archive: Archive) -> None:
    image = ana.create()
    send(image)
    put = ("PUT", f"/Images/{image['id']}", {"json": {"status": "Uploaded"}})
    answers = ana.at_once([put, put])
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert 200 in {answer.status_code for answer in answers}
    assert ana.show(image)["status"] == "Uploaded"
    assert len(list(archive.store.list())) == 1


def test_at_amazons_the_form_names_upload_file_and_the_host_of_the_region() -> None:
    """Contract 6. Signing needs no server."""
    options = S3Options(region="eu-central-1", access_key="AKIDEXAMPLE", secret_key="invented")
    inbox = open_inbox("s3://slides/some/prefix", s3=options)
    assert inbox is not None
    made = _presigned(inbox)
    assert made["url"] == "https://slides.s3.eu-central-1.amazonaws.com/"
    assert (made["key"], made["upload_file"]) == (NOBODYS_UID, "true")
    conditions = json.loads(b64decode(made["policy"]))["conditions"]
    assert {"upload_file": "true"} in conditions
    assert ["content-length-range", 1, 5 * 1024**3] in conditions
    old = open_inbox("s3://slides", s3=options, options=InboxOptions("s3", names_upload_file=False))
    assert old is not None
    assert set(_presigned(old)) == {"url", "key", "AWSAccessKeyId", "policy", "signature"}


def test_temporary_credentials_bring_their_token_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 4.6."""
    for name, value in {"ACCESS_KEY_ID": "ASIAEXAMPLE", "SECRET_ACCESS_KEY": "invented", "SESSION_TOKEN": "t"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    inbox = open_inbox("s3://slides")
    assert inbox is not None
    made = _presigned(inbox)
    assert made["url"] == "https://slides.s3.us-east-1.amazonaws.com/"
    assert made["x-amz-security-token"] == "t"
    assert {"x-amz-security-token": "t"} in json.loads(b64decode(made["policy"]))["conditions"]


def test_other_stores_have_no_inbox() -> None:
    assert open_inbox("disk:///somewhere") is None
    assert open_inbox("memory:") is None


def test_a_bucket_that_does_not_answer_is_said_to_be_unavailable() -> None:
    inbox = open_inbox("s3://slides", s3=S3Options("http://127.0.0.1:9", "us-east-1", "a", "b"))
    assert inbox is not None
    with pytest.raises(StoreUnavailable):
        inbox.find(NOBODYS_UID)
    with pytest.raises(StoreUnavailable):
        list(inbox.keys())


def _presigned(inbox: Inbox) -> dict[str, str]:
    return inbox.presign(
        NOBODYS_UID, max_bytes=10**12, expires_seconds=60, signature_version=None, fields={}, conditions=[]
    )
