"""What a form claims of its file: digests to be compared, and features that are not offered (pathomiq contract 5.5)."""

import base64
import binascii
import xml.parsers.expat
from collections.abc import Mapping
from dataclasses import dataclass

from pinakes.core.presigned.forms import PostForm
from pinakes.core.presigned.refusals import Code, bad_argument, refuse

_MD5 = "content-md5"
_CHECKSUM = "x-amz-checksum-"
_CHECKSUMS = {"crc32": 4, "sha1": 20, "sha256": 32}
"""The checksums that are compared, and their lengths in bytes."""
_NOT_OFFERED = {"crc32c", "crc64nvme"}
_SAYS_HOW = {"algorithm", "type", "mode"}
_ENCRYPTION = "x-amz-server-side-encryption"


@dataclass(frozen=True, slots=True)
class Claims:
    """The digests that a form names: algorithm -> bytes. Algorithms are md5, crc32, sha1 and sha256."""

    digests: Mapping[str, bytes]

    def compare(self, computed: Mapping[str, str]) -> None:
        """Raises UploadRefused (BadDigest) unless each is what was computed. computed: algorithm -> hex."""
        for algorithm, claimed in self.digests.items():
            if claimed.hex() != computed[algorithm]:
                raise refuse(Code.BAD_DIGEST)


def claims(form: PostForm) -> Claims:
    """Raises UploadRefused: InvalidDigest or InvalidRequest for what is malformed, NotImplemented."""
    digests: dict[str, bytes] = {}
    if _MD5 in form.fields:
        md5 = _decoded(form.fields[_MD5], 16)
        if md5 is None:
            raise refuse(Code.INVALID_DIGEST)
        digests["md5"] = md5
    for name, value in form.fields.items():
        algorithm = name.removeprefix(_CHECKSUM)
        if algorithm == name or algorithm in _SAYS_HOW:
            continue
        if algorithm in _NOT_OFFERED:
            raise refuse(Code.NOT_IMPLEMENTED, f"The checksum {algorithm} is not compared here; use sha256 or crc32.")
        checksum = _decoded(value, _CHECKSUMS.get(algorithm, -1))
        if checksum is None:
            raise refuse(Code.INVALID_REQUEST, "The value of an x-amz-checksum field is not valid.")
        digests[algorithm] = checksum
    return Claims(digests)


def check_features(form: PostForm) -> None:
    """Raises UploadRefused for an ACL other than private, encryption by keys, and tags that are not XML."""
    if form.fields.get("acl", "private") != "private":
        raise bad_argument("acl", "The only ACL is private.")
    if any(name.startswith(_ENCRYPTION) for name in form.fields):
        raise refuse(Code.NOT_IMPLEMENTED, "Encryption cannot be chosen by the client.")
    if "tagging" in form.fields and not _is_xml(form.fields["tagging"]):
        raise refuse(Code.MALFORMED_XML)


def _decoded(value: str, length: int) -> bytes | None:
    try:
        decoded = base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return decoded if len(decoded) == length else None


class _DoctypeFound(Exception):
    """The XML declares a document type, and with it perhaps entities."""


def _is_xml(text: str) -> bool:
    """Whether the text is one well-formed document without a document type."""
    parser = xml.parsers.expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(text.encode(), True)
    except (xml.parsers.expat.ExpatError, _DoctypeFound):
        return False
    return True


def _refuse_doctype(*_: object) -> None:
    raise _DoctypeFound
