"""Slowing down those who guess passwords, without locking out a clinic.

A tablet repeats a refused login up to three times by itself, and all of a clinic's tablets may share one address
(tscharts contract L7): so for the first 30 failures a minute from one address nothing but the ordinary refusal is
answered. Failures are counted in the database, so that every worker and server counts together.

    failures in the last minute          answer
    up to 30 from the address            the ordinary one
    30 for this name from this address   TooManyAttempts, for this name from this address
    120 from the address                 TooManyAttempts, for the address

A guesser with many addresses meets the delay: once a name has failed often, every further refusal for it is held back
for a second. The right password is always answered at once.
"""

from sqlalchemy import bindparam, func, insert, or_, select

from pinakes.core.clock import MINUTE, SECOND, Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import login_failures
from pinakes.core.errors import InvalidFields, TooManyAttempts
from pinakes.core.text import check_text, fold

WINDOW_US = MINUTE
MOST_PER_NAME = 30
MOST_PER_ADDRESS = 120

DELAYED_AFTER = 10
DELAY_SECONDS = 1.0

_ADDRESS_CHARACTERS = 64
_NAME_CHARACTERS = 64

_FROM_ADDRESS = login_failures.c.address == bindparam("address")
_FOR_NAME = login_failures.c.name_folded == bindparam("name")
_RECENT = select(
    func.count().filter(_FROM_ADDRESS),
    func.count().filter(_FROM_ADDRESS, _FOR_NAME),
    func.count().filter(_FOR_NAME),
    func.min(login_failures.c.at).filter(_FROM_ADDRESS),
).where(login_failures.c.at > bindparam("since"), or_(_FROM_ADDRESS, _FOR_NAME))


def admit(connection: Executor, address: str, name: str, now: Instant) -> None:
    """Raises TooManyAttempts if the address must wait before its next try."""
    from_address, here_for_name, _, oldest = _recent(connection, address, name, now)
    if here_for_name >= MOST_PER_NAME or from_address >= MOST_PER_ADDRESS:
        waiting_us = max(SECOND, (oldest or now) + WINDOW_US - now)
        raise TooManyAttempts(-(-waiting_us // SECOND))


def record_failure(transaction: Transaction, address: str, name: str, now: Instant) -> float:
    """Count a failure; how many seconds its refusal is to be held back."""
    row = {"address": address[:_ADDRESS_CHARACTERS], "name_folded": _key(name), "at": now}
    transaction.execute(insert(login_failures), row)
    _, _, for_name, _ = _recent(transaction, address, name, now)
    return DELAY_SECONDS if for_name > DELAYED_AFTER else 0.0


def _recent(connection: Executor, address: str, name: str, now: Instant) -> tuple[int, int, int, Instant | None]:
    parameters = {"address": address[:_ADDRESS_CHARACTERS], "name": _key(name), "since": now - WINDOW_US}
    from_address, here_for_name, for_name, oldest = connection.execute(_RECENT, parameters).one()
    return from_address, here_for_name, for_name, oldest


def _key(name: str) -> str:
    """The name as it is counted under; texts that no database keeps are all counted together."""
    try:
        check_text("username", name)
    except InvalidFields:
        return ""
    return fold(name)[:_NAME_CHARACTERS]
