"""The two signatures of a policy (pathomiq contract 5.1). Both are over the policy's base64 text as it stands."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

V4_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An access key id, which is public, and its secret, which is never shown."""

    access_key: str
    secret: str = field(repr=False)


def sign_v2(secret: str, policy: str) -> str:
    """Signature version 2, base64."""
    return base64.b64encode(hmac.digest(secret.encode(), policy.encode(), hashlib.sha1)).decode("ascii")


def sign_v4(secret: str, day: str, region: str, policy: str) -> str:
    """Signature version 4, lower-case hex. day: `yyyymmdd`, as in the credential."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return hmac.digest(key, policy.encode(), hashlib.sha256).hex()


def are_equal(expected: str, given: str) -> bool:
    """Whether two signatures are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(expected.encode(), given.encode())
