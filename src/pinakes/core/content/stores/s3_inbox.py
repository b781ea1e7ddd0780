"""The inbox of an S3 bucket, reached through boto3, whose presigner is the one that S3's clients know.

    <uid>                      what a client has put there: at the top of the bucket, for the key is the uid
    <prefix>/objects/<key>     where `pin` copies it to, as `stores.s3` has its objects

The bucket has to let web pages post to it (CORS: POST, exposed ETag), and needs no versions: what is kept is a copy. If
it keeps versions all the same, `remove` removes them all; those of the store's own objects are left to a lifecycle rule
(NoncurrentVersionExpiration).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pinakes.core.content.inbox import Arrived, InboxOptions
from pinakes.core.content.stores.s3 import S3Options
from pinakes.core.errors import StoreUnavailable

_KEY = re.compile(r"[0-9a-f]{32}")
_SIGNATURES: Final = ("s3", "s3v4")
_UPLOAD_FILE: Final = {"upload_file": "true"}
_MAX_POST_BYTES = 5 * 1024**3
_MISSING = {"404", "NoSuchKey", "NoSuchVersion"}
_CHANGED = {"PreconditionFailed", "412"}
_UNVERSIONED = {"NotImplemented", "501"}
_CONNECT_SECONDS = 5
_READ_SECONDS = 600  # a copy of 5 GiB is one request


class S3Inbox:
    """The top of a bucket. bucket, prefix: as of the content store."""

    def __init__(self, bucket: str, prefix: str, s3: S3Options, options: InboxOptions) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._default_signature = options.signature_version
        is_named = options.names_upload_file
        self._upload_file = _UPLOAD_FILE if (s3.endpoint is None if is_named is None else is_named) else {}
        self._clients = {version: _connect(s3, version) for version in _SIGNATURES}
        self._client = self._clients["s3v4"]

    def presign(
        self,
        key: str,
        *,
        max_bytes: int,
        expires_seconds: int,
        signature_version: str | None,
        fields: Mapping[str, str],
        conditions: Sequence[Any],
    ) -> dict[str, str]:
        named = [{name: value} for name, value in self._upload_file.items()]
        signed = self._clients[signature_version or self._default_signature].generate_presigned_post(
            Bucket=self._bucket,
            Key=key,
            Fields={**fields, **self._upload_file},
            Conditions=[["content-length-range", 1, min(max_bytes, _MAX_POST_BYTES)], *named, *conditions],
            ExpiresIn=expires_seconds,
        )
        return {"url": signed["url"], **signed["fields"]}

    def find(self, key: str) -> Arrived | None:
        try:
            with _translated():
                head = self._client.head_object(Bucket=self._bucket, Key=_checked(key))
        except StoreUnavailable as exc:
            if _code(exc) in _MISSING:
                return None
            raise
        version = head.get("VersionId")
        return Arrived(key, head["ContentLength"], head["ETag"].strip('"'), None if version == "null" else version)

    def pin(self, arrived: Arrived, key: str) -> bool:
        source = {"Bucket": self._bucket, "Key": arrived.key}
        if arrived.version is not None:
            source["VersionId"] = arrived.version
        try:
            with _translated():
                self._client.copy_object(
                    Bucket=self._bucket,
                    Key=f"{self._prefix}objects/{_checked(key)}",
                    CopySource=source,
                    CopySourceIfMatch=f'"{arrived.etag}"',
                    MetadataDirective="REPLACE",  # what a client said of its file is not ours to keep
                )
        except StoreUnavailable as exc:
            if _code(exc) in _MISSING | _CHANGED:
                return False
            raise
        return True

    def remove(self, key: str) -> None:
        with _translated():
            for version in self._versions(_checked(key)):
                self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version)
            # Also where the server lists no versions, or a form was posted in the meantime.
            if self.find(key) is not None:
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def keys(self) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Delimiter="/")
        with _translated():
            for page in pages:
                yield from (found["Key"] for found in page.get("Contents", ()) if _KEY.fullmatch(found["Key"]))

    def _versions(self, key: str) -> list[str]:
        """Of one key; none where the server does not know of versions."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=key)
        try:
            found = [entry for page in pages for kind in ("Versions", "DeleteMarkers") for entry in page.get(kind, ())]
        except ClientError as exc:
            if exc.response["Error"]["Code"] in _UNVERSIONED:
                return []
            raise
        return [entry["VersionId"] for entry in found if entry["Key"] == key]


def _connect(s3: S3Options, signature_version: str) -> Any:
    style = "virtual" if s3.virtual_hosted or s3.endpoint is None else "path"
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        config=Config(
            signature_version=signature_version,
            # The global host redirects to the region's, which browsers do not follow with a form.
            s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "max_attempts": 3},
        ),
    )


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("a key is 32 lower-case hex digits")
    return key


def _code(error: StoreUnavailable) -> str | None:
    """S3's word for what went wrong, if it answered at all."""
    cause = error.__cause__
    return str(cause.response["Error"]["Code"]) if isinstance(cause, ClientError) else None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as exc:
        raise StoreUnavailable from exc
