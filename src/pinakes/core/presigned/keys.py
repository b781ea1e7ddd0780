"""The key pairs with which forms are signed: given by the operator, or made up once and kept in the database."""

import base64
import secrets
from collections.abc import Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Executor
from pinakes.core.db.query import Query
from pinakes.core.db.schema import secrets as secrets_table
from pinakes.core.presigned.signatures import KeyPair

_NAME = "upload_key"
_FIND = Query(select(secrets_table.c.value).where(secrets_table.c.name == bindparam("name")))
_ADD = {
    True: sqlite.insert(secrets_table).on_conflict_do_nothing(),
    False: postgresql.insert(secrets_table).on_conflict_do_nothing(),
}


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
            self._pairs = (self._kept() or self._made_up(),)
        return self._pairs

    def _kept(self) -> KeyPair | None:
        with self._database.read() as connection:
            return _read(connection)

    def _made_up(self) -> KeyPair:
        """The pair that was kept first, where several processes make one up at once."""
        access_key = base64.b32encode(secrets.token_bytes(10)).decode("ascii")
        row = {"name": _NAME, "value": f"PNKS{access_key}:{secrets.token_urlsafe(30)}", "created_at": self._clock()}
        with self._database.write() as transaction:
            transaction.execute(_ADD[transaction.is_local], row)
            kept = _read(transaction)
        assert kept is not None
        return kept


def _read(connection: Executor) -> KeyPair | None:
    row = _FIND.first(connection, {"name": _NAME})
    if row is None:
        return None
    access_key, _, secret = str(row[0]).partition(":")
    return KeyPair(access_key, secret)
