"""Where Pinakes is seen from outside: the base of absolute URLs, and the address of the client.

What a client says about itself is believed as far as it cannot do harm: the Host header if it is well-formed, the
X-Forwarded headers only from a trusted proxy.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

_HOST = re.compile(rb"[A-Za-z0-9.:\[\]-]{1,255}")
_PORT = re.compile(r":[0-9]*\Z")
_USUAL_PORTS = {"http": ":80", "https": ":443"}

MOUNT = "pinakes.mount"
"""In a scope: the path at which the API is mounted, without a final slash; "" at the root."""

BY_HOST = "pinakes.by_host"
"""In a scope: whether the API was reached by a host name of its own."""


class TrustedProxies:
    """The networks whose X-Forwarded headers are believed."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Takes addresses and networks in CIDR form. Raises ValueError for anything else."""
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(text.strip(), strict=False) for text in networks]

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        parsed = _parse_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an API is mounted (see `mounts.Mount`). path: "" is the root, None where it has only a host of its own."""

    path: str | None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Origins:
    """Settings about the outside.

    public_url: scheme, host and perhaps a path under which clients reach the server; None to believe the request.
    """

    public_url: str | None = None
    trusted: TrustedProxies = field(default_factory=TrustedProxies)

    def base_url(self, scope: Scope) -> str:
        """The absolute URL of the API that serves this request, without a final slash."""
        return origin(scope, self)

    def web_origin(self, scope: Scope) -> str:
        """Scheme, host and port of the same, as a browser writes them in `Origin`: in lower case, no usual port."""
        scheme, _, rest = origin(scope, self).lower().partition("://")
        host = rest.partition("/")[0]
        return f"{scheme}://{host.removesuffix(_USUAL_PORTS[scheme])}"

    def neighbour_url(self, scope: Scope, place: Place) -> str | None:
        """The same of another API, as the client of this request can reach it; None where nobody can tell."""
        return neighbour(scope, self, place)

    def client_address(self, scope: Scope) -> str:
        return client_address(scope, self.trusted)


def origin(scope: Scope, settings: Origins) -> str:
    """The external base URL of the mount: from the public URL, else from the request's scheme and host.

    An API reached by a host name of its own keeps that host; only the scheme then comes from the public URL.
    """
    prefix: str = scope.get(MOUNT, "")
    public = settings.public_url.rstrip("/") if settings.public_url else None
    if public is not None and not scope.get(BY_HOST, False):
        return public + prefix
    scheme = public.partition(":")[0] if public is not None else _scheme(scope, settings.trusted)
    return f"{scheme}://{external_host(scope, settings.trusted)}{prefix}"


def neighbour(scope: Scope, settings: Origins, place: Place) -> str | None:
    """The external base URL of another API.

    A host of this API's own has nothing else on it: from there a neighbour is found by the public URL, or by a host
    of its own, on the port of this request.
    """
    is_by_host = scope.get(BY_HOST, False)
    if place.path is not None and (settings.public_url or not is_by_host):
        return origin({**scope, MOUNT: place.path.rstrip("/"), BY_HOST: False}, settings)
    if place.host is None:
        return None
    base = origin({**scope, MOUNT: "", BY_HOST: True}, settings)
    scheme, _, here = base.partition("://")
    has_port = _PORT.search(place.host) is not None
    port = "" if has_port else "".join(_PORT.findall(here))
    return f"{scheme}://{place.host}{port}"


def external_host(scope: Scope, trusted: TrustedProxies) -> str:
    """Host and port as the client knows them; the server's own address where the client sent nothing usable."""
    forwarded = _forwarded(scope, b"x-forwarded-host", trusted)
    for candidate in (forwarded, _header(scope, b"host")):
        if candidate is not None and _HOST.fullmatch(candidate):
            return candidate.decode("ascii")
    server = scope.get("server")
    return f"{server[0]}:{server[1]}" if server and server[1] is not None else "localhost"


def host_name(host: str) -> str:
    """A host without port and final dot, in lower case."""
    return _PORT.sub("", host).rstrip(".").lower()


def client_address(scope: Scope, trusted: TrustedProxies) -> str:
    """The address of the client: the peer, or behind trusted proxies the nearest address that is not one of them.

    "" where the server does not tell (a Unix socket).
    """
    client = scope.get("client")
    address = _normal(client[0]) if client else ""
    if address not in trusted:
        return address
    for entry in reversed(b",".join(_headers(scope, b"x-forwarded-for")).split(b",")):
        text = _forwarded_address(entry)
        if text is None:
            break
        address = text
        if address not in trusted:
            break
    return address


def _scheme(scope: Scope, trusted: TrustedProxies) -> str:
    forwarded = (_forwarded(scope, b"x-forwarded-proto", trusted) or b"").lower()
    if forwarded in (b"http", b"https"):
        return forwarded.decode("ascii")
    return "https" if scope.get("scheme") in ("https", "wss") else "http"


def _forwarded(scope: Scope, name: bytes, trusted: TrustedProxies) -> bytes | None:
    """What the nearest proxy said last, if it is trusted."""
    client = scope.get("client")
    if not client or client[0] not in trusted:
        return None
    values = _headers(scope, name)
    return values[-1].rpartition(b",")[2].strip() if values else None


def _forwarded_address(entry: bytes) -> str | None:
    """One entry of X-Forwarded-For: an address, perhaps in brackets, perhaps with a port."""
    text = entry.strip().decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    parsed = _parse_address(text)
    return str(parsed) if parsed is not None else None


def _normal(address: str) -> str:
    parsed = _parse_address(address)
    return str(parsed) if parsed is not None else address


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header that may be given once; None if it is missing or repeated."""
    values = _headers(scope, name)
    return values[0] if len(values) == 1 else None


def _headers(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]
