"""Every refusal of the presigned upload, in the order of contract 5.5; and that none of them leaves anything behind."""

import asyncio
import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from starlette.types import Message

from pinakes.core.actor import Kind
from pinakes.core.archive import Archive, assemble
from pinakes.core.catalogue import records
from pinakes.core.clock import DAY, HOUR, MINUTE, SECOND, to_datetime
from pinakes.core.content.stores import DiskStore
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import blobs, images, slides
from pinakes.core.presigned.signatures import KeyPair, sign_v4
from pinakes.core.slides.uploads import UploadOptions
from tests.conftest import MovableClock
from tests.contracts.pathomiq.conftest import MAX_UPLOAD_BYTES, NOBODYS_UID, PNG, Client, Json, World, world_of
from tests.contracts.pathomiq.posting import (
    BUCKET,
    EDGE,
    FORMER,
    PAIR,
    PLACE,
    TYPE,
    Pairs,
    Refusal,
    boto3_form,
    field_part,
    form,
    policy_text,
    post,
    refusal,
    seeds_form,
    send,
    signed,
)
from tests.web import asgi

STRANGER = KeyPair("AKIDSTRANGER", "invented-strangers-secret")


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="module")
def archive(sqlite_template: bytes, clock: MovableClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """One for all tests here, on one backend: what is looked at is HTTP, and that nothing is stored."""
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "pinakes.sqlite").write_bytes(sqlite_template)
    archive = assemble(
        Database(f"sqlite:///{folder / 'pinakes.sqlite'}"),
        DiskStore(folder / "content"),
        journal_directory=folder / "journals",
        clock=clock,
        max_upload_bytes=MAX_UPLOAD_BYTES,
        upload_options=UploadOptions(bucket=BUCKET, key_pairs=(PAIR, FORMER), most_at_once=2),
    )
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def world(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(archive, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="module")
def ana(world: World) -> Client:
    return world.user("ana")


@pytest.fixture
def image(ana: Client) -> Json:
    return ana.create()


@pytest.fixture(autouse=True)
def nothing_is_left_behind(world: World, image: Json, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test here sends: no partial object, no blob, no staged bytes, and no secret in a log."""
    caplog.set_level(logging.DEBUG, "pinakes")
    yield
    archive = world.archive
    assert list(archive.store.list()) == []
    with archive.database.read() as connection:
        assert connection.execute(select(blobs.c.digest)).all() == []
        assert set(connection.execute(select(slides.c.staged_digest)).scalars()) <= {None}
    assert archive.slide_uploads._slots._taken == {}
    response = image["response"]
    for secret in (PAIR.secret, response["policy"], response["signature"]):
        assert secret not in caplog.text


def refused(answer: Any, status: int, code: str, **members: str) -> Refusal:
    found = refusal(answer)
    assert (found.status, found.code) == (status, code), answer.text
    assert {name: found.members.get(name) for name in members} == members
    for text in ("policy", "invented"):
        assert text not in answer.text.replace("ArgumentName>policy<", "").replace("field named policy", "").replace(
            "Invalid according to Policy", ""
        ).replace("The policy", "").replace("the policy", "")
    return found


def form_of(image: Json) -> dict[str, str]:
    return dict(seeds_form(image["response"]))


def sent(client: Client, fields: dict[str, str] | Pairs, content: bytes | None = PNG) -> Any:
    return post(client, form(list(fields.items()) if isinstance(fields, dict) else fields, content))


# -- Before the form ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post_is_allowed(ana: Client, method: str) -> None:
    answer = ana.request(method, PLACE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        refused(answer, 405, "MethodNotAllowed")


@pytest.mark.parametrize("bucket", ["other", "Pinakes", "pinakes%2F", "file", "raw", "p\xc3\xa9", "%FF", "%00"])
def test_another_bucket_is_unknown(ana: Client, image: Json, bucket: str) -> None:
    answer = post(ana, form(seeds_form(image["response"]), PNG), place=f"/S3/{bucket}")
    refused(answer, 404, "NoSuchBucket")


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "", "multipart/mixed; a=b"])
def test_the_body_must_be_a_form(ana: Client, kind: str) -> None:
    refused(
        post(ana, b"{}", **{"Content-Type": kind}),
        412,
        "PreconditionFailed",
        Condition="Content-Type: multipart/form-data",
    )


def test_a_length_beyond_the_limit_is_refused_before_the_body_is_read(world: World) -> None:
    """Contract 5.4: nothing of the body is wanted for that."""
    length = str(MAX_UPLOAD_BYTES + 2 * 1024 * 1024)
    outgoing = asgi.Outgoing()

    async def receive() -> Message:
        assert outgoing.messages, "the body was read before the answer"
        return asgi.GONE

    scope = asgi.http_scope("POST", PLACE, [("Content-Type", TYPE), ("Content-Length", length)])
    world.loop.run_until_complete(world.app(scope, receive, outgoing))
    result = outgoing.result
    assert result.status == 400
    assert b"<Code>EntityTooLarge</Code>" in result.body
    assert f"<ProposedSize>{length}</ProposedSize>".encode() in result.body


def test_an_announced_length_beyond_the_policys_range_is_refused_with_the_fields(image: Json, world: World) -> None:
    """Contract 5.4: only the fields are read, and what came of the file with them."""
    fields = boto3_form(image["image_unique_id"], conditions=[["content-length-range", 1, 1000]])
    outgoing = asgi.Outgoing()
    pieces = iter([form(fields, PNG)[:-40]])

    async def receive() -> Message:
        body = next(pieces, None)
        if body is None:
            assert outgoing.messages, "the file was read before the answer"
            return asgi.GONE
        return {"type": "http.request", "body": body, "more_body": True}

    scope = asgi.http_scope("POST", PLACE, [("Content-Type", TYPE), ("Content-Length", "3000000")])
    world.loop.run_until_complete(world.app(scope, receive, outgoing))
    assert outgoing.result.status == 400
    assert b"<MaxSizeAllowed>1000</MaxSizeAllowed>" in outgoing.result.body


def test_a_client_that_leaves_in_the_middle_of_its_file_leaves_nothing(ana: Client, image: Json, world: World) -> None:
    """Contract 5.4."""
    body = form(seeds_form(image["response"]), PNG * 1000)
    scope = asgi.http_scope("POST", PLACE, [("Content-Type", TYPE), ("Content-Length", str(len(body)))])
    messages = iter([{"type": "http.request", "body": body[:9000], "more_body": True}, asgi.GONE])

    async def receive() -> Message:
        return next(messages)

    outgoing = asgi.Outgoing()
    world.loop.run_until_complete(world.app(scope, receive, outgoing))
    assert b"<Code>IncompleteBody</Code>" in outgoing.result.body
    assert ana.log(image, "Upload") == ["An upload was refused: IncompleteBody."]


def test_a_client_that_stops_sending_is_not_waited_for(
    ana: Client, image: Json, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract 5.3: a transfer is bounded in all, before its file begins and after."""
    uploads = world.archive.slide_uploads
    monkeypatch.setattr("pinakes.apis.pathomiq.uploads._FIELDS_SECONDS", 0.05)
    monkeypatch.setattr(uploads, "options", replace(uploads.options, max_seconds=0.05))
    body = form(seeds_form(image["response"]), PNG * 1000)
    for begun in (body[:300], body[:9000]):
        outgoing = asgi.Outgoing()
        pieces = iter([begun])

        async def receive() -> Message:
            piece = next(pieces, None)  # noqa: B023 - called before the next turn
            if piece is None:
                await asyncio.sleep(60 if not outgoing.messages else 0)  # noqa: B023
                return asgi.GONE
            return {"type": "http.request", "body": piece, "more_body": True}

        scope = asgi.http_scope("POST", PLACE, [("Content-Type", TYPE)])
        world.loop.run_until_complete(world.app(scope, receive, outgoing))
        assert b"<Code>IncompleteBody</Code>" in outgoing.result.body
    assert ana.log(image, "Upload") == ["An upload was refused: IncompleteBody."]


def test_of_one_user_only_so_many_files_come_at_once(ana: Client, image: Json, world: World) -> None:
    """Contract 5.4."""
    slots = world.archive.slide_uploads._slots
    for _ in range(2):
        slots.take(ana.user_id)
    answer = send(ana, image, PNG)
    for _ in range(2):
        slots.give_back(ana.user_id)
    refused(answer, 503, "SlowDown")
    assert answer.headers["retry-after"] == "5"


# -- The form -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 71}"]
)
def test_a_form_needs_a_boundary(ana: Client, image: Json, kind: str) -> None:
    body = form(seeds_form(image["response"]), PNG)
    refused(post(ana, body, **{"Content-Type": kind}), 400, "MalformedPOSTRequest")


def test_a_wrong_boundary_is_a_malformed_form(ana: Client, image: Json) -> None:
    body = form(seeds_form(image["response"]), PNG)
    answer = post(ana, body, **{"Content-Type": "multipart/form-data; boundary=another"})
    refused(answer, 400, "MalformedPOSTRequest")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form",
        b"\x00" * 1000,
        f"--{EDGE}\r\n\r\nno name\r\n--{EDGE}--\r\n".encode(),
        f'--{EDGE}\r\nContent-Disposition: form-data; name="a\xff"\r\n\r\n1\r\n--{EDGE}--\r\n'.encode("latin-1"),
        f'--{EDGE}\r\nContent-Disposition: form-data; name="key"\r\n\r\n\xff\r\n--{EDGE}--\r\n'.encode("latin-1"),
        f"--{EDGE}\r\n{'X: y' * 2000}\r\n\r\n1\r\n--{EDGE}--\r\n".encode(),
    ],
)
def test_what_is_no_form_is_said_to_be_none(ana: Client, body: bytes) -> None:
    refused(post(ana, body), 400, "MalformedPOSTRequest")


def test_a_form_cut_in_the_middle_of_its_file_leaves_nothing(ana: Client, image: Json) -> None:
    whole = form(seeds_form(image["response"]), PNG * 100)
    cut = whole[: -len(PNG) - 60]
    refused(post(ana, cut), 400, "MalformedPOSTRequest")
    assert ana.log(image, "Upload") == ["An upload was refused: MalformedPOSTRequest."]


def test_a_form_cut_in_its_fields_is_malformed(ana: Client, image: Json) -> None:
    refused(post(ana, form(seeds_form(image["response"]), PNG)[:300]), 400, "MalformedPOSTRequest")


@pytest.mark.parametrize(
    "fields",
    [
        [("x-ignore-a", "x" * 20_480)],
        [("x-ignore-a", "x" * 10_000), ("x-ignore-b", "x" * 10_400)],
        [("x-ignore-a", "x" * 3_000_000)],
        [("x-ignore-a", "x")] * 101,
        [("x-ignore-" + "a" * 3000, "x")] * 8,
    ],
)
def test_fields_before_the_file_are_few_and_small(ana: Client, image: Json, fields: Pairs) -> None:
    """Contract 5.2: 20,480 bytes and 100 fields, with a file or without; before any judgement."""
    refused(sent(ana, fields, PNG), 400, "MaxPostPreDataLengthExceeded")
    if len(fields) > 1:
        refused(sent(ana, fields, None), 400, "MaxPostPreDataLengthExceeded")


def test_fields_of_just_the_size_allowed_are_judged(ana: Client, image: Json) -> None:
    """Contract 5.2: 20,480 bytes with their boundaries, up to the head of the file's part."""
    fields = seeds_form(image["response"])
    taken = len(b"".join(field_part(name, value) for name, value in fields)) + len(field_part("x-ignore-a", ""))
    padding = 20_480 - taken - len(f"--{EDGE}\r\n")
    refused(sent(ana, [*fields, ("x-ignore-a", "x" * (padding + 1))], b""), 400, "MaxPostPreDataLengthExceeded")
    refused(sent(ana, [*fields, ("x-ignore-a", "x" * padding)], b""), 400, "EntityTooSmall")


def test_a_form_without_a_file_is_refused(ana: Client, image: Json) -> None:
    refused(sent(ana, form_of(image), None), 400, "InvalidArgument", ArgumentName="file")


def test_fields_after_the_file_do_not_count(ana: Client, image: Json) -> None:
    body = form([], PNG, after=seeds_form(image["response"]))
    refused(post(ana, body), 400, "InvalidArgument", ArgumentName="key")


def test_no_credentials_at_all_is_access_denied(ana: Client, image: Json) -> None:
    """Contract 5.5: there is no anonymous upload."""
    fields = form_of(image)
    refused(sent(ana, {"key": fields["key"]}), 403, "AccessDenied")
    refused(sent(ana, {"key": fields["key"], "policy": fields["policy"]}), 403, "AccessDenied")


@pytest.mark.parametrize("missing", ["AWSAccessKeyId", "policy", "signature"])
def test_version_2_needs_all_its_fields(ana: Client, image: Json, missing: str) -> None:
    fields = form_of(image)
    del fields[missing]
    refused(sent(ana, fields), 400, "InvalidArgument", ArgumentName=missing)


@pytest.mark.parametrize("missing", ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "policy", "x-amz-signature"])
def test_version_4_needs_all_its_fields(ana: Client, image: Json, missing: str) -> None:
    fields = dict(boto3_form(image["image_unique_id"]))
    del fields[missing]
    refused(sent(ana, fields), 400, "InvalidArgument", ArgumentName=missing)


def test_two_kinds_of_signature_at_once_are_one_too_many(ana: Client, image: Json) -> None:
    fields = {**form_of(image), **dict(boto3_form(image["image_unique_id"]))}
    refused(sent(ana, fields), 400, "InvalidArgument")


@pytest.mark.parametrize("name", ["key", "policy", "Signature", "AWSAccessKeyId", "success_action_status"])
def test_some_fields_may_be_given_only_once(ana: Client, image: Json, name: str) -> None:
    """Contract 5.2."""
    fields = [*seeds_form(image["response"]), (name, "again"), (name.upper(), "again")]
    refused(sent(ana, fields), 400, "InvalidArgument", ArgumentName=name.lower())


# -- The signature ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-algorithm", "AWS4-HMAC-SHA1"),
        ("x-amz-credential", "AKIDEXAMPLE"),
        ("x-amz-credential", "AKIDEXAMPLE/20260101/eu-north-1/s3/aws4_request"),
        ("x-amz-credential", "AKIDEXAMPLE/2026/us-east-1/s3/aws4_request"),
        ("x-amz-date", "2026-01-01T00:00:00Z"),
        ("x-amz-date", "20261301T000000Z"),
        ("x-amz-date", "٢٠٢٦٠١٠١T000000Z"),
    ],
)
def test_malformed_fields_of_version_4(ana: Client, image: Json, name: str, value: str) -> None:
    fields = {**dict(boto3_form(image["image_unique_id"])), name: value}
    refused(sent(ana, fields), 400, "InvalidArgument", ArgumentName=name)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_an_unknown_access_key(ana: Client, image: Json, version: str) -> None:
    fields = boto3_form(image["image_unique_id"], pair=STRANGER, signature_version=version)
    refused(sent(ana, fields), 403, "InvalidAccessKeyId")


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_wrong_secret(ana: Client, image: Json, version: str) -> None:
    pair = KeyPair(PAIR.access_key, "wrong")
    fields = boto3_form(image["image_unique_id"], pair=pair, signature_version=version)
    refused(sent(ana, fields), 403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_policy_that_was_changed_or_cut_no_longer_fits_its_signature(ana: Client, image: Json, version: str) -> None:
    """Contract 5.1: judged before the policy is decoded."""
    fields = dict(boto3_form(image["image_unique_id"], signature_version=version))
    for changed in (fields["policy"][:-5], fields["policy"] + "=", "", "*", fields["policy"].swapcase(), "é\u0000"):
        refused(sent(ana, {**fields, "policy": changed}), 403, "SignatureDoesNotMatch")
    name = "signature" if version == "s3" else "x-amz-signature"
    for changed in ("", fields[name].swapcase(), fields[name] + " ", "é"):
        refused(sent(ana, {**fields, name: changed}), 403, "SignatureDoesNotMatch")
    assert ana.log(image, "Upload") == []  # nobody known has asked


def test_the_day_of_version_4_must_be_the_credentials_and_not_in_the_future(
    ana: Client, image: Json, clock: MovableClock
) -> None:
    key = image["image_unique_id"]

    def signed_v4(at: int, day: str) -> dict[str, str]:
        date = to_datetime(at).strftime("%Y%m%dT%H%M%SZ")
        fields = {
            "key": key,
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": f"{PAIR.access_key}/{day}/us-east-1/s3/aws4_request",
            "x-amz-date": date,
        }
        policy = policy_text([{name: value} for name, value in fields.items()], clock(), seconds=3 * 24 * 3600)
        signature = sign_v4(PAIR.secret, day, "us-east-1", policy)
        return {**fields, "policy": policy, "x-amz-signature": signature}

    def day_of(at: int) -> str:
        return to_datetime(at).strftime("%Y%m%d")

    now = clock()
    refused(sent(ana, signed_v4(now, day_of(now - DAY))), 403, "AccessDenied")
    late = now + 15 * MINUTE + 2 * SECOND
    refused(sent(ana, signed_v4(late, day_of(late))), 403, "AccessDenied")
    early = now + 15 * MINUTE - SECOND
    refused(sent(ana, signed_v4(early, day_of(early)), b""), 400, "EntityTooSmall")


# -- The policy ---------------------------------------------------------------------------------------------------


def with_policy(image: Json, policy: str, *extra: tuple[str, str]) -> Pairs:
    return signed(image["image_unique_id"], policy, *extra)


def encoded(document: Any) -> str:
    return b64encode(json.dumps(document).encode()).decode()


@pytest.mark.parametrize(
    "policy",
    [
        "*",
        "e30",  # the padding is missing
        "e30=\n",
        encoded({}),
        encoded([]),
        encoded(None),
        b64encode(b"{").decode(),
        b64encode(b'{"a":"\xff"}').decode(),
        b64encode(b'{"a":"\\ud800"}').decode(),
        b64encode(b"[" * 9000).decode(),
        encoded({"expiration": "2999-01-01T00:00:00Z"}),
        encoded({"conditions": []}),
        encoded({"Expiration": "2999-01-01T00:00:00Z", "conditions": []}),
        encoded({"expiration": "2999-01-01T00:00:00Z", "Conditions": []}),
        encoded({"expiration": "2999-01-01T00:00:00Z", "conditions": {}}),
        encoded({"expiration": "2999-01-01", "conditions": []}),
        encoded({"expiration": "2999-01-01T00:00:00", "conditions": []}),
        encoded({"expiration": "2999-02-30T00:00:00Z", "conditions": []}),
        encoded({"expiration": "0000-01-01T00:00:00Z", "conditions": []}),
        encoded({"expiration": 5, "conditions": []}),
        *(
            encoded({"expiration": "2999-01-01T00:00:00Z", "conditions": [{"bucket": BUCKET}, condition]})
            for condition in (
                {},
                {"a": "b", "c": "d"},
                {"a": 1},
                {"": "a"},
                [],
                ["eq", "$key"],
                ["eq", "key", "a"],
                ["eq", "$", "a"],
                ["eq", "$key", 1],
                ["like", "$key", "a"],
                [5, 5, 5],
                ["content-length-range", 5, 4],
                ["content-length-range", "a", 4],
                ["content-length-range", 0.5, 4],
                ["content-length-range", 0, "9" * 5000],
                "key",
                None,
            )
        ),
    ],
)
def test_a_policy_that_cannot_be_read(ana: Client, image: Json, policy: str) -> None:
    refused(sent(ana, with_policy(image, policy)), 400, "InvalidPolicyDocument")
    assert ana.log(image, "Upload") == ["An upload was refused: InvalidPolicyDocument."]


def test_a_policy_ends_at_its_very_second(ana: Client, image: Json, clock: MovableClock) -> None:
    """Contract 5.3: no allowance for clocks."""
    clock.now = clock.now // SECOND * SECOND
    policy = policy_text([{"key": image["image_unique_id"]}], clock(), seconds=60)
    clock.advance(60 * SECOND - 1)
    refused(sent(ana, with_policy(image, policy), b""), 400, "EntityTooSmall")
    clock.advance(1)
    found = refused(sent(ana, with_policy(image, policy)), 403, "AccessDenied")
    assert found.message == "Invalid according to Policy: Policy expired."
    assert ana.log(image, "Upload")[-1] == "An upload was refused: AccessDenied."


def test_the_seeds_form_expires_after_an_hour(ana: Client, image: Json, clock: MovableClock) -> None:
    clock.advance(HOUR)
    refused(send(ana, image, PNG), 403, "AccessDenied")


@pytest.mark.parametrize(
    "condition",
    [
        {"key": "another"},
        ["eq", "$key", "another"],
        ["starts-with", "$key", "another"],
        ["starts-with", "$acl", ""],
        {"acl": "private"},
        {"bucket": "another"},
    ],
)
def test_every_condition_must_hold(ana: Client, image: Json, clock: MovableClock, condition: Any) -> None:
    policy = policy_text([["starts-with", "$key", ""], condition], clock())
    found = refused(sent(ana, with_policy(image, policy)), 403, "AccessDenied")
    assert found.message.startswith("Invalid according to Policy: Policy Condition failed:")


def test_a_policy_must_name_the_bucket(ana: Client, image: Json, clock: MovableClock) -> None:
    policy = policy_text([["starts-with", "$key", ""]], clock(), bucket=None)
    refused(sent(ana, with_policy(image, policy)), 403, "AccessDenied")
    other = policy_text([["starts-with", "$key", ""]], clock())
    refused(sent(ana, with_policy(image, other, ("bucket", "another"))), 403, "AccessDenied")


def test_every_field_must_be_covered(ana: Client, image: Json, clock: MovableClock) -> None:
    key = image["image_unique_id"]
    found = refused(sent(ana, with_policy(image, policy_text([], clock()))), 403, "AccessDenied")
    assert found.message == "Invalid according to Policy: Extra input fields: key"
    policy = policy_text([{"key": key}], clock())
    extra = refused(sent(ana, with_policy(image, policy, ("<b>&\x01", "1"))), 403, "AccessDenied")
    assert extra.message == "Invalid according to Policy: Extra input fields: <b>&\N{REPLACEMENT CHARACTER}"
    exempt = [("x-ignore-a", "1"), ("upload_file", "true"), ("x-amz-checksum-algorithm", "SHA256")]
    refused(sent(ana, with_policy(image, policy, *exempt), b""), 400, "EntityTooSmall")


# -- Confinement --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        NOBODYS_UID,
        "",
        "../../etc/passwd",
        "..%2f",
        "a\x00b",
        "/",
        "${filename}",
        "x" * 5000,
        "é",
    ],
)
def test_a_key_that_names_no_image_is_denied_whatever_the_policy(ana: Client, clock: MovableClock, key: str) -> None:
    """Contract 5.4."""
    policy = policy_text([["starts-with", "$key", ""]], clock())
    fields = signed(key, policy)
    refused(post(ana, form(fields, PNG, file_name="../../../etc/passwd")), 403, "AccessDenied")


def test_only_the_whole_uid_as_it_is_written_names_an_image(ana: Client, image: Json, clock: MovableClock) -> None:
    policy = policy_text([["starts-with", "$key", ""]], clock())
    uid = image["image_unique_id"]
    for key in (uid.upper(), f"{uid}/", f" {uid}", uid[:-1], f"{uid}/../{uid}", str(image["id"])):
        if key != uid:
            refused(sent(ana, signed(key, policy)), 403, "AccessDenied")


def test_a_clinical_image_is_no_place_to_upload_to(ana: Client, world: World, clock: MovableClock) -> None:
    """Nor is a machine image: only a slide's uid is a key."""
    with world.archive.database.write() as transaction:
        made = records.add(transaction, records.NewImage(Kind.MACHINE, "alpine", ana.user_id), clock())
        uid = transaction.execute(select(images.c.uid).where(images.c.id == made)).scalar_one()
    policy = policy_text([["starts-with", "$key", ""]], clock())
    refused(sent(ana, signed(uid, policy)), 403, "AccessDenied")


def test_the_form_of_one_image_opens_no_other(ana: Client, ben: Client, image: Json) -> None:
    other = ben.create()
    fields = {**form_of(image), "key": other["image_unique_id"]}
    refused(sent(ana, fields), 403, "AccessDenied")
    assert ben.log(other, "Upload") == ["An upload was refused: AccessDenied."]


def test_a_form_opens_nothing_after_the_image_was_deleted(ana: Client, image: Json) -> None:
    """Contract 4.10: a replay brings nothing back."""
    ana.delete(f"/Images/{image['image_unique_id']}")
    refused(send(ana, image, PNG), 403, "AccessDenied")


# -- What is refused although the key is right --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "status", "code"),
    [
        (("acl", "public-read"), 400, "InvalidArgument"),
        (("x-amz-server-side-encryption", "aws:kms"), 501, "NotImplemented"),
        (("x-amz-server-side-encryption-customer-key", "a"), 501, "NotImplemented"),
        (("tagging", "a=b"), 400, "MalformedXML"),
        (("tagging", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), 400, "MalformedXML"),
        (("tagging", "<a>" * 1000), 400, "MalformedXML"),
        (("Content-MD5", "a"), 400, "InvalidDigest"),
        (("Content-MD5", b64encode(b"short").decode()), 400, "InvalidDigest"),
        (("Content-MD5", "é"), 400, "InvalidDigest"),
        (("Content-MD5", b64encode(bytes(16)).decode()), 400, "BadDigest"),
        (("x-amz-checksum-crc32", "a"), 400, "InvalidRequest"),
        (("x-amz-checksum-crc32", b64encode(bytes(4)).decode()), 400, "BadDigest"),
        (("x-amz-checksum-sha256", b64encode(bytes(32)).decode()), 400, "BadDigest"),
        (("x-amz-checksum-nothing", "a"), 400, "InvalidRequest"),
        (("x-amz-checksum-crc64nvme", "a"), 501, "NotImplemented"),
    ],
)
def test_what_is_not_offered_and_what_does_not_match(
    ana: Client, image: Json, clock: MovableClock, field: tuple[str, str], status: int, code: str
) -> None:
    policy = policy_text([{"key": image["image_unique_id"]}, ["starts-with", f"${field[0]}", ""]], clock())
    refused(sent(ana, with_policy(image, policy, field)), status, code)
    assert ana.log(image, "Upload") == [f"An upload was refused: {code}."]


def test_the_size_must_lie_in_every_range(ana: Client, image: Json, clock: MovableClock) -> None:
    """Contract 5.3: several ranges mean what they have in common, both ends included."""
    ranges = [["content-length-range", 10, 30], ["Content-Length-Range", "0", "20"]]
    policy = policy_text([{"key": image["image_unique_id"]}, *ranges], clock())
    small = refused(sent(ana, with_policy(image, policy), b"x" * 9), 400, "EntityTooSmall")
    assert (small.members["ProposedSize"], small.members["MinSizeAllowed"]) == ("9", "10")
    large = refused(sent(ana, with_policy(image, policy), b"x" * 21), 400, "EntityTooLarge")
    assert large.members["MaxSizeAllowed"] == "20"
    assert large.members["ProposedSize"] == "21"


def test_a_file_beyond_the_limit_is_refused_whatever_the_policy_allows(
    ana: Client, image: Json, clock: MovableClock
) -> None:
    policy = policy_text([{"key": image["image_unique_id"]}, ["content-length-range", 0, 10**15]], clock())
    content = b"x" * (MAX_UPLOAD_BYTES + 1)
    refused(sent(ana, with_policy(image, policy), content), 400, "EntityTooLarge", MaxSizeAllowed=str(MAX_UPLOAD_BYTES))


def test_an_empty_file_is_too_small(ana: Client, image: Json) -> None:
    refused(send(ana, image, b""), 400, "EntityTooSmall", ProposedSize="0", MinSizeAllowed="1")


def test_of_several_faults_the_first_in_the_table_is_told(ana: Client, image: Json, clock: MovableClock) -> None:
    """Contract 5.5: each form here has the fault named and all that come after it."""
    uid = image["image_unique_id"]
    bad = [("x-evil", "1"), ("acl", "public-read"), ("Content-MD5", "a")]
    unreadable = encoded({"conditions": [{}]})
    stale = policy_text([{"key": "another"}], clock(), seconds=-5)
    wrong = {"AWSAccessKeyId": STRANGER.access_key, "policy": unreadable, "signature": "wrong"}

    def code(fields: Pairs) -> str:
        return refusal(sent(ana, fields, b"")).code

    assert code([("AWSAccessKeyId", STRANGER.access_key), ("x-evil", "1")]) == "InvalidArgument"  # key
    assert code([("key", uid), *bad]) == "AccessDenied"
    assert code([("key", uid), *list(wrong.items())[1:], *bad]) == "InvalidArgument"
    assert code([("key", uid), *wrong.items(), *bad]) == "InvalidAccessKeyId"
    assert (
        code([("key", uid), *({**wrong, "AWSAccessKeyId": PAIR.access_key}).items(), *bad]) == "SignatureDoesNotMatch"
    )
    assert code(signed(uid, unreadable, *bad)) == "InvalidPolicyDocument"
    assert refusal(sent(ana, signed(uid, stale, *bad))).message.endswith("Policy expired.")
    failing = policy_text([{"key": "another"}], clock())
    assert "Condition failed" in refusal(sent(ana, signed(uid, failing, *bad))).message
    uncovered = policy_text([["starts-with", "$key", ""]], clock())
    assert "Extra input fields" in refusal(sent(ana, signed(NOBODYS_UID, uncovered, *bad))).message
    covering = policy_text([["starts-with", f"${name}", ""] for name in ("key", "x-evil", "acl")], clock())
    assert code(signed(NOBODYS_UID, covering, *bad)) == "AccessDenied"
    assert code(signed(uid, covering, *bad)) == "InvalidArgument"  # acl
    without_acl = policy_text([["starts-with", f"${name}", ""] for name in ("key", "x-evil")], clock())
    assert code(signed(uid, without_acl, bad[0], bad[2])) == "InvalidDigest"
    assert code(signed(uid, without_acl, bad[0])) == "EntityTooSmall"
