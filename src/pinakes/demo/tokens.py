"""The demo's tokens: in a file that only the owner of the data folder can read, and used again while they are valid."""

import os
import secrets
from pathlib import Path

from pinakes.core.access.credentials import Credentials
from pinakes.core.actor import Actor
from pinakes.core.clock import DAY, Clock
from pinakes.core.errors import Unauthenticated

_VALID_FOR = 30 * DAY
_MODE = 0o600


class TokenFile:
    """A file of lines `NAME TOKEN`."""

    def __init__(self, path: Path, credentials: Credentials, clock: Clock) -> None:
        self._path = path
        self._credentials = credentials
        self._clock = clock

    def of(self, actor: Actor, name: str) -> str:
        """A valid token of the user: the one in the file, or a new one, which is then in the file."""
        kept = self._read()
        token = kept.get(name, "")
        if not self._is_valid(name, token):
            expires_at = self._clock() + _VALID_FOR
            token = self._credentials.create(actor, name, scope=None, expires_at=expires_at, label="demo")
            self._write(kept | {name: token})
        return token

    def _is_valid(self, name: str, token: str) -> bool:
        try:
            return self._credentials.actor("cli", token).name == name
        except Unauthenticated:
            return False

    def _read(self) -> dict[str, str]:
        try:
            lines = self._path.read_text().splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return {}
        pairs = (line.split() for line in lines)
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    def _write(self, tokens: dict[str, str]) -> None:
        beside = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with open(descriptor, "w") as file:
            file.writelines(f"{name} {token}\n" for name, token in tokens.items())
        beside.replace(self._path)
