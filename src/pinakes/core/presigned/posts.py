"""Presigned POSTs: what a client is given so that it can send one file with a form (pathomiq contract 4.6)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pinakes.core.clock import SECOND, Instant
from pinakes.core.errors import InvalidFields
from pinakes.core.presigned.instants import amz_date_text, expiration_text
from pinakes.core.presigned.policies import Condition, ConditionMalformed, parse_condition
from pinakes.core.presigned.signatures import V4_ALGORITHM, KeyPair, sign_v2, sign_v4

V2: Final = "s3"
V4: Final = "s3v4"

_MAX_EXPIRES_SECONDS = 604_800
_MAX_CHOSEN_BYTES = 8 * 1024  # what a caller adds must leave room in the 20 KiB that a form may have
_FIELD_NAMES = {
    "acl",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-type",
    "expires",
    "redirect",
    "success_action_redirect",
    "success_action_status",
    "tagging",
}
_METADATA = "x-amz-meta-"


@dataclass(frozen=True, slots=True)
class PostOptions:
    """What the caller may choose of a presigned POST.

    signature_version: V2 or V4; None for the default of the place it is for.
    conditions: JSON values, each well-formed, to be appended to the policy as they are.
    """

    expires_seconds: int = 3600
    signature_version: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    conditions: tuple[Any, ...] = ()


def parse_options(presign: object) -> PostOptions:
    """Read the member `presign` of a request; None means the defaults. Raises InvalidFields."""
    if presign is None:
        return PostOptions()
    if not isinstance(presign, Mapping):
        raise _invalid("must be an object")
    fields = _fields(presign.get("fields"))
    conditions = _conditions(presign.get("conditions"))
    if len(msgspec.json.encode([fields, conditions])) > _MAX_CHOSEN_BYTES:
        raise _invalid(f"fields and conditions must not be larger than {_MAX_CHOSEN_BYTES} bytes")
    return PostOptions(_expires(presign.get("expires_in")), _version(presign), fields, conditions)


def presigned_fields(
    pair: KeyPair, *, bucket: str, key: str, region: str, max_bytes: int, options: PostOptions, now: Instant
) -> dict[str, str]:
    """The fields of a form that may be posted to the bucket, with exactly this key, until it expires."""
    is_v4 = options.signature_version == V4
    signed = _v4_fields(pair, region, now) if is_v4 else {}
    policy = _policy_text(
        now + options.expires_seconds * SECOND,
        [
            {"bucket": bucket},
            {"key": key},
            ["content-length-range", 1, max_bytes],
            *({name: value} for name, value in signed.items()),
            *options.conditions,
        ],
    )
    fields = dict(options.fields)
    if is_v4:
        signature = sign_v4(pair.secret, signed["x-amz-date"][:8], region, policy)
        return {**fields, "key": key, **signed, "policy": policy, "x-amz-signature": signature}
    signature = sign_v2(pair.secret, policy)
    return {**fields, "key": key, "AWSAccessKeyId": pair.access_key, "policy": policy, "signature": signature}


def _v4_fields(pair: KeyPair, region: str, now: Instant) -> dict[str, str]:
    date = amz_date_text(now)
    return {
        "x-amz-algorithm": V4_ALGORITHM,
        "x-amz-credential": f"{pair.access_key}/{date[:8]}/{region}/s3/aws4_request",
        "x-amz-date": date,
    }


def _policy_text(expires_at: Instant, conditions: list[Any]) -> str:
    document = {"expiration": expiration_text(expires_at), "conditions": conditions}
    return base64.b64encode(msgspec.json.encode(document)).decode("ascii")


def _expires(value: object) -> int:
    if value is None:
        return PostOptions().expires_seconds
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MAX_EXPIRES_SECONDS:
        raise _invalid(f"expires_in must be a whole number of seconds from 1 to {_MAX_EXPIRES_SECONDS}")
    return value


def _version(presign: Mapping[str, object]) -> str | None:
    value = presign.get("signature_version")
    if value not in (None, V2, V4):
        raise _invalid(f"signature_version must be {V2} or {V4}")
    return None if value is None else str(value)


def _fields(value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise _invalid("fields must be an object")
    for name, text in value.items():
        folded = name.lower()
        if folded not in _FIELD_NAMES and not (folded.startswith(_METADATA) and len(folded) > len(_METADATA)):
            raise _invalid("fields holds a name that is not allowed")
        if not isinstance(text, str):
            raise _invalid("fields must have texts as values")
        if folded == "acl" and text != "private":
            raise _invalid("acl can only be private")
    if len({name.lower() for name in value}) != len(value):
        raise _invalid("fields holds a name twice")
    return tuple(value.items())


def _conditions(value: object) -> tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _invalid("conditions must be a list")
    for item in value:
        try:
            condition = parse_condition(item)
        except ConditionMalformed as exc:
            raise _invalid(f"conditions holds a malformed one: {exc}") from exc
        if isinstance(condition, Condition) and condition.name == "bucket":
            raise _invalid("conditions must not name the bucket")
    return tuple(value)


def _invalid(reason: str) -> InvalidFields:
    return InvalidFields.one("presign", reason)
