"""Policies: what the signer of a form allows to be posted with it (pathomiq contract 5.3).

    text ──strict base64, strict JSON──> Policy ──check──> nothing, or a refusal

What is checked is what was parsed: the text is read once.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pinakes.core.clock import Instant
from pinakes.core.errors import UploadRefused
from pinakes.core.presigned.forms import PostForm
from pinakes.core.presigned.instants import parse_expiration
from pinakes.core.presigned.refusals import Code, refuse

_RANGE: Final = "content-length-range"
_DIGITS = re.compile(r"[0-9]{1,19}")
_MAX_SIZE: Final = 2**63 - 1

# What may be sent without the policy's consent. `upload_file` is what the clients of this protocol add (row D12).
_UNCOVERED = {"file", "policy", "awsaccesskeyid", "signature", "x-amz-signature", "content-md5", "upload_file"}
_UNCOVERED_PREFIXES = ("x-ignore-", "x-amz-checksum-")


class ConditionMalformed(ValueError):
    """A condition is none that S3 knows; the message says how."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What one field must be. operator: "eq" or "starts-with". name: in lower case, without `$`."""

    operator: str
    name: str
    value: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        """An absent field satisfies nothing, not even an empty beginning."""
        given = fields.get(self.name)
        if given is None:
            return False
        return given == self.value if self.operator == "eq" else given.startswith(self.value)


@dataclass(frozen=True, slots=True)
class SizeRange:
    """How many bytes the file may have, both ends included; no upper end if most is None."""

    least: int = 0
    most: int | None = None

    def within(self, other: "SizeRange") -> "SizeRange":
        """What both allow."""
        ends = [end for end in (self.most, other.most) if end is not None]
        return SizeRange(max(self.least, other.least), min(ends, default=None))


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that has been read."""

    expiration: Instant
    conditions: tuple[Condition, ...]
    size_range: SizeRange

    def check(self, form: PostForm, bucket: str, now: Instant) -> None:
        """Raises UploadRefused unless the policy allows this form in this bucket now."""
        if now >= self.expiration:
            raise _denied("Policy expired.")
        if not any(condition.name == "bucket" for condition in self.conditions):
            raise _denied("Policy Condition failed: the policy names no bucket.")
        if form.fields.get("bucket", bucket) != bucket:
            raise _denied("Policy Condition failed: the form names another bucket.")
        fields = {**form.fields, "bucket": bucket}
        for condition in self.conditions:
            if not condition.holds(fields):
                raise _denied(f'Policy Condition failed: ["{condition.operator}", "${condition.name}"]')
        covered = {condition.name for condition in self.conditions}
        extra = sorted(name for name in form.fields if name not in covered and not _is_exempt(name))
        if extra:
            raise _denied(f"Extra input fields: {', '.join(extra)}")


def parse_policy(text: str) -> Policy:
    """Read a policy as it was posted. Raises UploadRefused (InvalidPolicyDocument)."""
    try:
        document = msgspec.json.decode(base64.b64decode(text.encode("ascii"), validate=True))
    except RecursionError as exc:
        raise refuse(Code.INVALID_POLICY) from exc
    except (binascii.Error, ValueError, OverflowError) as exc:
        raise refuse(Code.INVALID_POLICY, "The policy is not base64 of a JSON object.") from exc
    if not isinstance(document, dict):
        raise refuse(Code.INVALID_POLICY, "The policy is not a JSON object.")
    expiration, conditions = document.get("expiration"), document.get("conditions")
    expires_at = parse_expiration(expiration) if isinstance(expiration, str) else None
    if expires_at is None:
        raise refuse(Code.INVALID_POLICY, "The policy has no expiration, or one that cannot be read.")
    if not isinstance(conditions, list):
        raise refuse(Code.INVALID_POLICY, "The policy has no list of conditions.")
    try:
        return _policy(expires_at, map(parse_condition, conditions))
    except ConditionMalformed as exc:
        raise refuse(Code.INVALID_POLICY, f"The policy holds a malformed condition: {exc}.") from exc


def parse_condition(value: Any) -> Condition | SizeRange:
    """Read one condition from its JSON. Raises ConditionMalformed."""
    if isinstance(value, dict):
        return _property(value)
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], str):
        raise ConditionMalformed("it is neither an object nor a list of three")
    operator, name, argument = value[0].lower(), value[1], value[2]
    if operator == _RANGE:
        return _size_range(name, argument)
    if operator not in ("eq", "starts-with"):
        raise ConditionMalformed("its operator is not known")
    if not isinstance(name, str) or not name.startswith("$") or len(name) < 2 or not isinstance(argument, str):
        raise ConditionMalformed("it needs a $name and a text")
    return Condition(operator, name[1:].lower(), argument)


def _property(value: Mapping[str, Any]) -> Condition:
    if len(value) != 1:
        raise ConditionMalformed("an object must have exactly one property")
    ((name, argument),) = value.items()
    if not name or not isinstance(argument, str):
        raise ConditionMalformed("an object's property must have a name and a text")
    return Condition("eq", name.lower(), argument)


def _size_range(least: Any, most: Any) -> SizeRange:
    size_range = SizeRange(_size(least), upper := _size(most))
    if size_range.least > upper:
        raise ConditionMalformed("the range ends before it begins")
    return size_range


def _size(value: Any) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_SIZE:
        return value
    raise ConditionMalformed("the ends of a range are whole numbers from 0 on")


def _policy(expires_at: Instant, parsed: Iterable[Condition | SizeRange]) -> Policy:
    conditions = []
    size_range = SizeRange()
    for one in parsed:
        if isinstance(one, SizeRange):
            size_range = size_range.within(one)
        else:
            conditions.append(one)
    return Policy(expires_at, tuple(conditions), size_range)


def _is_exempt(name: str) -> bool:
    return name in _UNCOVERED or name.startswith(_UNCOVERED_PREFIXES)


def _denied(why: str) -> UploadRefused:
    return refuse(Code.ACCESS_DENIED, f"Invalid according to Policy: {why}")
