"""Which addresses may be fetched from: a user must not reach through the archive what they cannot reach themselves.

Names are judged by what they resolve to, never by their text: `127.1`, `0x7f.1` and `2130706433` are left to the same
resolver that the connection would use. The table follows the IANA registries of special-purpose addresses (RFC 6890
and its updates). IPv6 is closed but for global unicast, so that what is assigned later is refused until it is known.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, and unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # between carriers and their customers (CGNAT)
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's own services, metadata among them; public in form only
        "169.254.0.0/16",  # link-local; 169.254.169.254 gives out the secrets of virtual machines
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays from IPv4 to 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # measuring
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

_GLOBAL_V6 = IPv6Network("2000::/3")
"""All that is open of IPv6. Outside of it lie loopback, unspecified, IPv4-compatible, NAT64, unique local (with
fd00:ec2::254, Amazon's metadata), link-local, site-local, multicast, segment routing, and what is not assigned."""

_6TO4 = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_NAT64 = IPv6Network("64:ff9b::/96")

_REFUSED_V6 = (
    IPv6Network("2001::/23"),  # protocol assignments: Teredo, measuring, ORCHID
    IPv6Network("2001:db8::/32"),  # documentation
    _6TO4,
    IPv6Network("3fff::/20"),  # documentation
)


class AddressPolicy:
    """The rule above, and the networks that are allowed in spite of it.

    An IPv4 address mapped into IPv6 counts as the IPv4 address. An address that carries others inside (NAT64, 6to4,
    Teredo) is only allowed if its own network is, and the ones inside are too.
    """

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def allows(self, address: Address) -> bool:
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        return (self._is_allowed(address) or is_public(address)) and all(map(self.allows, carried(address)))

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self._allowed)


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could mean the same machine by it."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)


def carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that what is sent to an IPv6 address may end up at."""
    if isinstance(address, IPv4Address):
        return ()
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address in _6TO4:
        return (IPv4Address(int(address) >> 80 & 0xFFFF_FFFF),)
    if address in _TEREDO:
        server, client = int(address) >> 64 & 0xFFFF_FFFF, ~int(address) & 0xFFFF_FFFF
        return IPv4Address(server), IPv4Address(client)
    return ()


def parse_address(text: str) -> Address:
    """The address that a resolver wrote, without the zone behind a `%`."""
    return ip_address(text.partition("%")[0])
