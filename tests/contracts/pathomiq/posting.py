"""Posting forms as the clients of S3 do: the seed's own, boto3's, and bodies written out byte by byte."""

import base64
import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
from botocore.config import Config

from pinakes.core.clock import SECOND, Instant, to_datetime
from pinakes.core.presigned.signatures import KeyPair, sign_v2
from tests.contracts.pathomiq.conftest import ORIGIN, Client, Json

BUCKET = "pinakes"
PLACE = f"/S3/{BUCKET}"
PAIR = KeyPair("AKIDEXAMPLE", "invented-secret")
FORMER = KeyPair("AKIDFORMER", "invented-former-secret")
EDGE = "edge0123456789"
TYPE = f"multipart/form-data; boundary={EDGE}"

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An S3 error as a client reads it."""

    status: int
    code: str
    message: str
    members: Mapping[str, str]


def form(fields: Pairs, content: bytes | None, *, file_name: str | None = "Test.png", after: Pairs = ()) -> bytes:
    """A whole body: fields, the file unless it is None, then more fields."""
    parts = [field_part(name, value) for name, value in fields]
    if content is not None:
        named = "" if file_name is None else f'; filename="{file_name}"'
        head = f'--{EDGE}\r\nContent-Disposition: form-data; name="file"{named}\r\nContent-Type: image/png\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    parts += [field_part(name, value) for name, value in after]
    return b"".join(parts) + f"--{EDGE}--\r\n".encode()


def field_part(name: str, value: str) -> bytes:
    return f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def seeds_form(response: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the seed's clients send beside the file: every member of `response` but the address, and `upload_file`."""
    return [(name, value) for name, value in response.items() if name != "url"] + [("upload_file", "true")]


def post(client: Client, body: bytes, *, place: str = PLACE, **headers: str) -> httpx.Response:
    return client.post(place, content=body, headers={"Content-Type": TYPE, **headers})


def send(client: Client, image: Json, content: bytes, *extra: tuple[str, str]) -> httpx.Response:
    """Upload an image with the form that it came with."""
    return post(client, form([*seeds_form(image["response"]), *extra], content))


def refusal(answer: httpx.Response) -> Refusal:
    """The error in an answer, in the shape that all of them have (contract 5.5)."""
    assert answer.headers["content-type"] == "application/xml"
    assert answer.text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>')
    members = {element.tag: element.text or "" for element in ET.fromstring(answer.content)}
    assert members["Resource"].startswith("/S3/")
    assert members["RequestId"]
    return Refusal(answer.status_code, members["Code"], members["Message"], members)


def policy_text(
    conditions: Sequence[Any], now: Instant, *, seconds: int = 600, bucket: str | None = BUCKET, **members: Any
) -> str:
    """A policy's base64; `members` are put over what it says."""
    expiration = to_datetime(now + seconds * SECOND).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = [] if bucket is None else [{"bucket": bucket}]
    document = {"expiration": expiration, "conditions": [*named, *conditions], **members}
    return base64.b64encode(json.dumps(document).encode()).decode()


def signed(key: str, policy: str, *extra: tuple[str, str], pair: KeyPair = PAIR) -> list[tuple[str, str]]:
    """The fields of a form signed with version 2."""
    signature = sign_v2(pair.secret, policy)
    auth = [("AWSAccessKeyId", pair.access_key), ("policy", policy), ("signature", signature)]
    return [("key", key), *extra, *auth]


def boto3_form(
    key: str,
    *,
    signature_version: str = "s3v4",
    pair: KeyPair = PAIR,
    region: str = "us-east-1",
    fields: Mapping[str, str] | None = None,
    conditions: Sequence[Any] | None = None,
) -> list[tuple[str, str]]:
    """The fields that boto3 makes for this bucket, with a key pair of ours."""
    client = boto3.client(
        "s3",
        endpoint_url=f"{ORIGIN}/S3",
        region_name=region,
        aws_access_key_id=pair.access_key,
        aws_secret_access_key=pair.secret,
        config=Config(signature_version=signature_version, s3={"addressing_style": "path"}),
    )
    made = client.generate_presigned_post(BUCKET, key, Fields=fields, Conditions=conditions)
    assert made["url"] == f"{ORIGIN}{PLACE}"
    return list(made["fields"].items())
