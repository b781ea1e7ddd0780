"""What an inbox is: a place in the bucket of the content store where clients put bytes themselves, with a signed form.

    client ──form──> <key> in the bucket ──find──> Arrived ──pin──> an object of the content store's own

The key is the client's to know, and it may post again for as long as its form is valid; so nothing refers to an object
in the inbox. What is to stay is pinned: copied, in the bucket, to where the content store keeps it, if it still is what
was found. Implementation: `stores.s3_inbox`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Arrived:
    """An object as it was found. etag: without quotes. version: where the bucket keeps versions."""

    key: str
    size_bytes: int
    etag: str
    version: str | None


@dataclass(frozen=True, slots=True)
class InboxOptions:
    """What is signed beside what S3 needs.

    signature_version: of forms whose caller does not choose; "s3v4", or "s3" for buckets that still take version 2.
    names_upload_file: whether the policy names the field `upload_file`, which clients send: Amazon refuses a field
    that is not named, SeaweedFS 4.48 refuses a policy that names it. None: as Amazon wants it where no endpoint is set.
    """

    signature_version: str = "s3v4"
    names_upload_file: bool | None = None


class Inbox(Protocol):
    """Safe to use from several threads at once. Every method but `presign` raises StoreUnavailable."""

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
        """A form that puts one object under this key: `url`, and the fields to be posted there. Nothing is sent."""

    def find(self, key: str) -> Arrived | None:
        """What is under a key now."""

    def pin(self, arrived: Arrived, key: str) -> bool:
        """Copy an object to this key of the content store; False if it is not there any more as it was found."""

    def remove(self, key: str) -> None:
        """Remove what is under a key, in all its versions; no error if there is nothing."""

    def keys(self) -> Iterator[str]:
        """Every key that could be one of ours: 32 lower-case hex digits."""
