"""Why a posted form is refused, in S3's own words (pathomiq contract 5.5)."""

import enum
from collections.abc import Mapping

from pinakes.core.errors import UploadRefused


class Code(enum.StrEnum):
    """S3's error codes, as far as a posted form can meet them."""

    ACCESS_DENIED = "AccessDenied"
    BAD_DIGEST = "BadDigest"
    ENTITY_TOO_LARGE = "EntityTooLarge"
    ENTITY_TOO_SMALL = "EntityTooSmall"
    INVALID_ACCESS_KEY = "InvalidAccessKeyId"
    INVALID_ARGUMENT = "InvalidArgument"
    INVALID_DIGEST = "InvalidDigest"
    INVALID_POLICY = "InvalidPolicyDocument"
    INVALID_REQUEST = "InvalidRequest"
    MALFORMED_XML = "MalformedXML"
    NOT_IMPLEMENTED = "NotImplemented"
    OPERATION_ABORTED = "OperationAborted"
    PRECONDITION_FAILED = "PreconditionFailed"
    SIGNATURE_MISMATCH = "SignatureDoesNotMatch"
    SLOW_DOWN = "SlowDown"


_TEXTS: Mapping[Code, str] = {
    Code.ACCESS_DENIED: "Access Denied",
    Code.BAD_DIGEST: "The digest that was sent does not match what was received.",
    Code.ENTITY_TOO_LARGE: "The upload exceeds the largest size allowed.",
    Code.ENTITY_TOO_SMALL: "The upload is smaller than the least size allowed.",
    Code.INVALID_ACCESS_KEY: "The access key id that was sent is not known here.",
    Code.INVALID_DIGEST: "The Content-MD5 that was sent is not valid.",
    Code.INVALID_POLICY: "The policy of the form is not valid.",
    Code.MALFORMED_XML: "The XML that was sent is not well-formed.",
    Code.OPERATION_ABORTED: "The object has been committed already, and does not change any more.",
    Code.SIGNATURE_MISMATCH: "The signature that was computed here does not match the one that was sent.",
    Code.SLOW_DOWN: "Too many uploads at once; try again when some of them have ended.",
}


def refuse(code: Code, message: str | None = None, **details: object) -> UploadRefused:
    """The refusal to be raised. details: further members of S3's answer; never a policy, signature or secret."""
    return UploadRefused(code, message or _TEXTS[code], {name: str(value) for name, value in details.items()})


def bad_argument(name: str, message: str) -> UploadRefused:
    """InvalidArgument for a field of the form."""
    return refuse(Code.INVALID_ARGUMENT, message, ArgumentName=name)
