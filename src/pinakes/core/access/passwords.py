"""Passwords: kept as Argon2id hashes, checked in constant time, a few at once.

The parameters are those OWASP gives for Argon2id with 19 MiB: enough work to make guessing dear, little enough memory
that a burst of logins does not starve the server.
"""

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MOST_CHARACTERS = 1024

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_at_once = threading.BoundedSemaphore(2)


@cache
def _nobodys() -> str:
    """The hash that stands in for a user who does not exist."""
    return _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    with _at_once:
        return _hasher.hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed; takes as long for a user who does not exist (None)."""
    if len(password) > MOST_CHARACTERS:
        return False
    try:
        with _at_once:
            _hasher.verify(stored or _nobodys(), password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
    return stored is not None
