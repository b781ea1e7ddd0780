"""Digests in headers (RFC 9530): what a client says its bytes are, and what is said of those that go out.

Repr-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:      the same for Content-Digest
X-Checksum-Sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
"""

import base64
import binascii
import re
from typing import Final

from starlette.datastructures import Headers

from pinakes.core.errors import Invalid

_FIELDS: Final = ("repr-digest", "content-digest")
_HEX: Final = "x-checksum-sha256"
_MEMBER = re.compile(r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):[ \t]*")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_DIGEST_BYTES: Final = 32


def claimed_sha256(headers: Headers) -> str | None:
    """The SHA-256, in lower-case hex, that a request gives for its body; None where it gives none.

    Other algorithms are passed over. Raises Invalid for a header that cannot be read, and for two that differ.
    """
    claims = set()
    for name in _FIELDS:
        for value in headers.getlist(name):
            claims |= _claims(value)
    for value in headers.getlist(_HEX):
        if not _SHA256.fullmatch(value.strip()):
            raise Invalid("The checksum in the header is no SHA-256 in hex.")
        claims.add(value.strip().lower())
    if len(claims) > 1:
        raise Invalid("The headers give different checksums.")
    return claims.pop() if claims else None


def repr_digest(sha256: str) -> str:
    """The value of Repr-Digest for a SHA-256 in hex."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode('ascii')}:"


def _claims(value: str) -> set[str]:
    found = set()
    for part in value.split(","):
        member = _MEMBER.fullmatch(part)
        if member is None:
            raise Invalid("The digest in the header cannot be read.")
        if member[1] == "sha-256":
            found.add(_decoded(member[2]))
    return found


def _decoded(text: str) -> str:
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise Invalid("The digest in the header is no base64.") from exc
    if len(digest) != _DIGEST_BYTES:
        raise Invalid("The digest in the header is no SHA-256.")
    return digest.hex()
