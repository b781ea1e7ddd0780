"""Where an import comes from: a URL, read once, so that everybody means the same host and nobody shows the password."""

import enum
import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pinakes.core.errors import InvalidFields

FIELD = "url"
HIDDEN = "xxxxx"
MOST_CHARACTERS = 8192

_PORTS = {"http": 80, "https": 443, "sftp": 22}
_HOST_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,252}")
_UNUSABLE = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORITY = re.compile(r"[^:/?#]*://(?P<authority>[^/?#]*)")
_PATH_SAFE = "!$%&'()*+,/:;=@~"
_QUERY_SAFE = _PATH_SAFE + "?[]"


class SourceReason(enum.StrEnum):
    """Why a URL cannot be imported from."""

    LENGTH = f"must have at most {MOST_CHARACTERS} characters"
    CHARACTERS = "must not contain spaces, control characters or broken characters"
    SCHEME = "must begin with http://, https:// or sftp://"
    HOST = "must name a host"
    PORT = "must have a port between 1 and 65535, or none"
    LOGIN = "must have a user name and a password for sftp"
    FILE = "must name a file for sftp"
    ENCODING = "must have a user name, password and path that decode to text"


@dataclass(frozen=True, slots=True)
class Source:
    """A URL that can be fetched.

    scheme: http, https or sftp.   host: in ASCII, lower case; an IPv6 address without brackets.
    target: for http the path and query as they are sent; for sftp the file's path, decoded.
    user, password: decoded; None where the URL has none.
    shown: the URL as it was given, with its password replaced.
    """

    scheme: str
    host: str
    port: int
    target: str
    user: str | None
    password: str | None = field(repr=False)
    shown: str

    @property
    def netloc(self) -> str:
        """Host, and port unless it is the scheme's own, as they stand in a URL and in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_source(text: str) -> Source:
    """Read a URL. Raises InvalidFields for FIELD with a SourceReason; nothing of the URL is in it."""
    if len(text) > MOST_CHARACTERS:
        raise _wrong(SourceReason.LENGTH)
    if _UNUSABLE.search(text):
        raise _wrong(SourceReason.CHARACTERS)
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets that do not match, or hold no address
        raise _wrong(SourceReason.HOST) from None
    if parts.scheme not in _PORTS or _AUTHORITY.match(text) is None:
        raise _wrong(SourceReason.SCHEME)
    host, port = _host(parts), _port(parts)
    user, password = _decoded(parts.username), _decoded(parts.password)
    if parts.scheme == "sftp" and not (user and password):
        raise _wrong(SourceReason.LOGIN)
    target = _file(parts) if parts.scheme == "sftp" else _target(parts)
    return Source(parts.scheme, host, port, target, user, password, redacted(text))


def redacted(text: str) -> str:
    """The same text, with the password in it replaced by `xxxxx` and nothing else changed (djinn contract 7.2)."""
    found = _AUTHORITY.match(text)
    if found is None:
        return text
    login, at, _ = found["authority"].rpartition("@")
    user, colon, _ = login.partition(":")
    if not at or not colon:
        return text
    start = found.start("authority")
    return f"{text[:start]}{user}:{HIDDEN}{text[start + len(login) :]}"


def _wrong(reason: SourceReason) -> InvalidFields:
    return InvalidFields.one(FIELD, reason)


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        if parts.netloc.rpartition("@")[2].startswith("[") and "%" not in host:
            return str(IPv6Address(host))
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError:
        raise _wrong(SourceReason.HOST) from None
    if not _HOST_NAME.fullmatch(name):
        raise _wrong(SourceReason.HOST)
    return name


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise _wrong(SourceReason.PORT)
    return port or _PORTS[parts.scheme]


def _target(parts: SplitResult) -> str:
    """Path and query in ASCII; what is encoded already stays as it is."""
    path = quote(parts.path, safe=_PATH_SAFE) or "/"
    return f"{path}?{quote(parts.query, safe=_QUERY_SAFE)}" if parts.query else path


def _file(parts: SplitResult) -> str:
    path = _decoded(parts.path)
    if not path or path.endswith("/"):
        raise _wrong(SourceReason.FILE)
    return path


def _decoded(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _wrong(SourceReason.ENCODING) from None
    if _CONTROL.search(decoded):
        raise _wrong(SourceReason.ENCODING)
    return decoded
