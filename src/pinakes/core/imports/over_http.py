"""Fetching over http and https.

The standard library reads the answer (`http.client`); the request is a few lines, written here to a socket that
`connections` opened. Every redirect is a new URL: read, resolved and judged like the first.
"""

import base64
import http.client
import io
import socket
import ssl
from contextlib import closing
from typing import cast
from urllib.parse import urljoin

from pinakes.core.errors import InvalidFields
from pinakes.core.imports.connections import Dialer, Line
from pinakes.core.imports.sources import Source, parse_source
from pinakes.core.imports.transfer import PIECE_BYTES, FetchFailed, Receiver, Watch

_MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_BUFFER_BYTES = 64 * 1024
_MOST_DIGITS = 18
_DEFAULT_ENDS = (("http", 80), ("https", 443))


def fetch(source: Source, receiver: Receiver, dialer: Dialer, watch: Watch, context: ssl.SSLContext | None) -> None:
    """Give the whole file to the receiver. Raises FetchFailed, and what the receiver and the watch raise.

    context: which certificates are believed; None for what the system believes.
    """
    hop = source
    for _ in range(_MOST_REDIRECTS + 1):
        with closing(_connect(hop, dialer, context)) as connected:
            answer = _ask(hop, _login(source, hop), connected, watch)
            if answer.status not in _REDIRECTS:
                _receive(answer, receiver)
                return
            hop = _next(source, hop, answer.headers.get("location", ""))
    raise FetchFailed(f"The server redirected more than {_MOST_REDIRECTS} times.")


def _connect(hop: Source, dialer: Dialer, context: ssl.SSLContext | None) -> socket.socket:
    plain = dialer.connect(hop.host, hop.port)
    if hop.scheme == "http":
        return plain
    return dialer.secure(plain, hop.host, context or ssl.create_default_context())


# -- The request --------------------------------------------------------------------------------------------------


def _ask(hop: Source, login: str | None, connected: socket.socket, watch: Watch) -> http.client.HTTPResponse:
    """Send the request and read the head of the answer."""
    lines = [
        f"GET {hop.target} HTTP/1.1",
        f"Host: {hop.netloc}",
        "User-Agent: Pinakes",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
        *([f"Authorization: Basic {login}"] if login else ()),
    ]
    try:
        connected.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
    except OSError:
        raise FetchFailed("The connection to the server broke.") from None
    answer = http.client.HTTPResponse(cast(socket.socket, _Readable(Line(connected, watch))), method="GET")
    try:
        answer.begin()
    except (http.client.HTTPException, ValueError):
        raise FetchFailed("The server did not answer as a web server does.") from None
    return answer


class _Readable:
    """All that `http.client` asks of a socket it reads an answer from."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - the seam gives it
        return io.BufferedReader(self._line, _BUFFER_BYTES)


def _login(source: Source, hop: Source) -> str | None:
    """The user info of the first URL, as Basic authentication wants it; None for any other server."""
    if source.user is None or not _is_same_server(source, hop):
        return None
    return base64.b64encode(f"{source.user}:{source.password or ''}".encode()).decode("ascii")


def _is_same_server(first: Source, hop: Source) -> bool:
    """The same host and port; and where both are the usual ones, also over https instead of http."""
    ends = ((first.scheme, first.port), (hop.scheme, hop.port))
    return first.host == hop.host and (ends[0] == ends[1] or ends == _DEFAULT_ENDS)


def _next(source: Source, hop: Source, location: str) -> Source:
    """Where a redirect leads. Raises FetchFailed where it may not."""
    try:
        target = location.encode("latin-1").decode()  # headers are read as Latin-1, but many send UTF-8
    except UnicodeError:
        target = location
    try:
        found = parse_source(urljoin(f"{hop.scheme}://{hop.netloc}{hop.target}", target.strip()))
    except (InvalidFields, ValueError):
        raise FetchFailed("The server redirected to an address that cannot be fetched.") from None
    if not location or found.scheme not in {"http", "https"} or found.user is not None:
        raise FetchFailed("The server redirected to an address that cannot be fetched.")
    if source.user is not None and hop.scheme == "https" and found.scheme == "http":
        raise FetchFailed("The server redirected from https to http, which is not followed with a password.")
    return found


# -- The answer ---------------------------------------------------------------------------------------------------


def _receive(answer: http.client.HTTPResponse, receiver: Receiver) -> None:
    if answer.status != http.client.OK:
        raise FetchFailed(f"The server answered {answer.status}.")
    if answer.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise FetchFailed("The server sent the file encoded, though it was asked not to.")
    announced = _announced(answer)
    receiver.expect(announced)
    received = 0
    try:
        while piece := answer.read1(PIECE_BYTES):
            received += len(piece)
            receiver.write(piece)
    except http.client.HTTPException:
        raise FetchFailed("The file ended early.") from None
    if announced is not None and received != announced:
        raise FetchFailed(f"The file ended early: {received} of {announced} bytes came.")


def _announced(answer: http.client.HTTPResponse) -> int | None:
    """The length of the file as the server tells it; None if it does not. Raises FetchFailed if that is nonsense."""
    encodings = answer.headers.get_all("transfer-encoding", [])
    if encodings:
        if len(encodings) > 1 or not answer.chunked:
            raise FetchFailed("The server sent the file in an encoding that is not known here.")
        return None
    lengths = {length.strip() for length in answer.headers.get_all("content-length", [])}
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()) or len(length) > _MOST_DIGITS:
        raise FetchFailed("The server did not say clearly how long the file is.")
    return int(length)
