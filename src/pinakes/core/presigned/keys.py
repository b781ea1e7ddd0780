"""The key pairs with which forms are signed: given by the operator, or made up once and kept in the database."""

import base64
import secrets
from collections.abc import Sequence

from pinakes.core.clock import Clock
from pinakes.core.db import made_secrets
from pinakes.core.db.engine import Database
from pinakes.core.presigned.signatures import KeyPair

_NAME = "upload_key"


class KeyRing:
    """The key pair that signs, and those beside it that are still believed.

    given: the operator's pairs, the one that signs first; where there are none, one is made up at the first use.
    """

    def __init__(self, database: Database, clock: Clock, given: Sequence[KeyPair] = ()) -> None:
        self._database = database
        self._clock = clock
        self._pairs = tuple(given)

    @property
    def signing(self) -> KeyPair:
        """Not to be asked for inside a write transaction, unless it was asked for before."""
        return self._all()[0]

    def find(self, access_key: str) -> KeyPair | None:
        return next((pair for pair in self._all() if pair.access_key == access_key), None)

    def _all(self) -> Sequence[KeyPair]:
        if not self._pairs:
            text = made_secrets.kept(self._database, _NAME, _made_up, self._clock)
            access_key, _, secret = text.partition(":")
            self._pairs = (KeyPair(access_key, secret),)
        return self._pairs


def _made_up() -> str:
    access_key = base64.b32encode(secrets.token_bytes(10)).decode("ascii")
    return f"PNKS{access_key}:{secrets.token_urlsafe(30)}"
