"""Which addresses may be fetched from (djinn contract 7.5)."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinakes.core.imports.addresses import AddressPolicy, carried, is_public, parse_address

NOBODY = AddressPolicy()
LOOPBACK = AddressPolicy([ip_network("127.0.0.0/8")])

V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::8.8.8.8",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "64:ff9b:1:ffff::a9fe:a9fe",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "4000::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001:82b::200e",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_public_is_refused(text: str) -> None:
    assert not NOBODY.allows(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_anybody_can_reach_is_allowed(text: str) -> None:
    assert NOBODY.allows(ip_address(text))


@given(V4)
@example(IPv4Address("192.0.0.9"))  # for anycast, within the protocol assignments
def test_nothing_that_python_knows_as_special_is_public(address: IPv4Address) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not is_public(address)


@given(V6)
def test_nothing_that_python_knows_as_special_in_ipv6_is_public(address: IPv6Address) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not is_public(address)


@given(V4)
def test_an_ipv4_address_is_judged_alike_however_it_is_mapped(address: IPv4Address) -> None:
    assert NOBODY.allows(IPv6Address(f"::ffff:{address}")) == NOBODY.allows(address) == is_public(address)


@given(V4, st.integers(0, 2**80 - 1))
def test_an_address_that_carries_another_does_not_get_around_the_policy(inner: IPv4Address, rest: int) -> None:
    carriers = [
        IPv6Address(f"64:ff9b::{inner}"),
        IPv6Address(0x2002 << 112 | int(inner) << 80 | rest),
        IPv6Address(0x20010000 << 96 | int(inner) << 64 | rest & 2**64 - 1),
        IPv6Address(0x20010000 << 96 | 0x08080808 << 64 | (rest & 0xFFFF) << 32 | int(inner) ^ 0xFFFFFFFF),
    ]
    generous = AddressPolicy([ip_network("2001::/32"), ip_network("2002::/16"), ip_network("64:ff9b::/96")])
    for address in carriers:
        assert inner in carried(address)
        assert not NOBODY.allows(address)
        assert generous.allows(address) == all(map(is_public, carried(address)))


@given(V4 | V6, st.integers(0, 32))
def test_an_allowed_network_is_allowed_and_nothing_beside_it(address: IPv4Address | IPv6Address, bits: int) -> None:
    network = ip_network((address, bits), strict=False)
    policy = AddressPolicy([network])
    if isinstance(address, IPv4Address) or (not address.ipv4_mapped and not carried(address)):
        assert policy.allows(address)
    for other in (IPv4Address("127.0.0.1"), IPv6Address("::1"), IPv6Address("fd00:ec2::254")):
        assert policy.allows(other) == (other in network)


def test_allowing_loopback_allows_it_mapped_too_and_no_metadata() -> None:
    assert LOOPBACK.allows(IPv4Address("127.0.0.1"))
    assert LOOPBACK.allows(IPv6Address("::ffff:127.0.0.1"))
    for text in ("::1", "64:ff9b::127.0.0.1", "169.254.169.254", "10.0.0.1"):
        assert not LOOPBACK.allows(ip_address(text))


def test_a_network_for_nat64_does_not_open_what_lies_behind_it() -> None:
    policy = AddressPolicy([IPv6Network("64:ff9b::/96")])
    assert policy.allows(IPv6Address("64:ff9b::8.8.8.8"))
    assert not policy.allows(IPv6Address("64:ff9b::169.254.169.254"))
    assert AddressPolicy([IPv6Network("64:ff9b::/96"), IPv4Network("10.0.0.0/8")]).allows(
        IPv6Address("64:ff9b::10.1.1.1")
    )


def test_a_zone_is_not_a_part_of_an_address() -> None:
    assert parse_address("fe80::1%eth0") == IPv6Address("fe80::1")
