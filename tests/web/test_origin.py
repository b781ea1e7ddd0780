from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.web.origin import BY_HOST, MOUNT, Origins, Place, TrustedProxies
from tests.web.asgi import http_scope

PROXIES = TrustedProxies(["10.0.0.0/8", "::1", "2001:db8::/32"])
AT_DJINN: dict[str, Any] = {MOUNT: "/djinn"}
AT_A_HOST: dict[str, Any] = {MOUNT: "", BY_HOST: True}
Pairs = list[tuple[str, str]]


def base(headers: Pairs, origins: Origins | None = None, client: str = "192.0.2.7", **entries: Any) -> str:
    """The base URL of a request with these headers, and these entries in its scope."""
    return (origins or Origins(trusted=PROXIES)).base_url({**http_scope(headers=headers, client=client), **entries})


def test_the_base_is_the_request_s_scheme_and_host_and_the_mount() -> None:
    assert base([("Host", "h:8000")], **AT_DJINN) == "http://h:8000/djinn"
    assert base([("Host", "[::1]:8000")], scheme="https") == "https://[::1]:8000"


@pytest.mark.parametrize("host", ["", "a b", "h/x", "h@x", 'h"><script>', "h\r\nx", "é", "h" * 256])
def test_a_host_that_is_none_is_replaced_by_the_server_s_own_address(host: str) -> None:
    assert base([("Host", host)]) == "http://127.0.0.1:8000"


def test_without_a_host_or_with_two_the_server_s_own_address_stands_in() -> None:
    assert base([]) == "http://127.0.0.1:8000"
    assert base([("Host", "a"), ("Host", "b")]) == "http://127.0.0.1:8000"
    assert base([], server=("/run/socket", None)) == "http://localhost"


def test_the_public_url_goes_before_everything() -> None:
    origins = Origins("https://archive.example/base/", PROXIES)
    headers = [("Host", "h"), ("X-Forwarded-Host", "other")]
    assert base(headers, origins, "10.0.0.1", **AT_DJINN) == "https://archive.example/base/djinn"


def test_an_api_with_a_host_of_its_own_keeps_it_and_takes_only_the_scheme_of_the_public_url() -> None:
    origins = Origins("https://archive.example/base")
    assert base([("Host", "ci.example:8443")], origins, **AT_A_HOST) == "https://ci.example:8443"


def test_forwarded_headers_count_from_a_trusted_proxy_only() -> None:
    headers = [("Host", "backend:8000"), ("X-Forwarded-Host", "archive.example"), ("X-Forwarded-Proto", "https")]
    assert base(headers, client="10.1.2.3") == "https://archive.example"
    assert base(headers, client="::ffff:10.1.2.3") == "https://archive.example"
    assert base(headers, client="192.0.2.7") == "http://backend:8000"


@pytest.mark.parametrize(("proto", "scheme"), [("HTTPS", "https"), ("http, https", "https"), ("javascript", "http")])
def test_of_a_forwarded_scheme_the_nearest_proxy_s_counts_if_it_is_one(proto: str, scheme: str) -> None:
    assert base([("Host", "h"), ("X-Forwarded-Proto", proto)], client="10.0.0.1") == f"{scheme}://h"


def test_a_forwarded_host_that_is_none_is_ignored() -> None:
    assert base([("Host", "h"), ("X-Forwarded-Host", "a/b")], client="10.0.0.1") == "http://h"


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1:1234"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db9::1]:1234"], "2001:db9::1"),
        ("10.0.0.1", ["2001:0DB9::0001"], "2001:db9::1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("::1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:192.0.2.7", [], "192.0.2.7"),
    ],
    ids=str,
)
def test_the_client_is_the_nearest_address_that_is_no_trusted_proxy(
    client: str, forwarded: list[str], expected: str
) -> None:
    scope = http_scope(headers=[("X-Forwarded-For", value) for value in forwarded], client=client)
    assert Origins(trusted=PROXIES).client_address(scope) == expected


def test_a_server_on_a_unix_socket_knows_no_address() -> None:
    assert Origins().client_address({**http_scope(), "client": None}) == ""


@given(st.text(st.characters(max_codepoint=255)), st.text(st.characters(max_codepoint=255)))
def test_no_header_makes_it_raise_or_puts_anything_odd_into_a_url(host: str, forwarded: str) -> None:
    headers = [("Host", host), ("X-Forwarded-Host", forwarded), ("X-Forwarded-For", forwarded)]
    scope = http_scope(headers=headers, client="10.0.0.1")
    origins = Origins(trusted=PROXIES)
    url = origins.base_url(scope)
    assert not set(url) & set(" \"'<>\r\n\t/\\@") - {"/"}
    assert url.count("/") == 2
    origins.client_address(scope)


@pytest.mark.parametrize("network", ["10.0.0.0/33", "proxy.example", ""])
def test_a_network_that_is_none_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        TrustedProxies([network])


def neighbour(place: Place, public_url: str | None = None, **entries: Any) -> str | None:
    """The base URL of another API, for a request to `here:8000`."""
    scope = {**http_scope(headers=[("Host", "here:8000")], client="192.0.2.7"), **entries}
    return Origins(public_url).neighbour_url(scope, place)


def test_a_neighbour_is_found_at_its_path_of_the_same_host() -> None:
    assert neighbour(Place("/iiif"), **AT_DJINN) == "http://here:8000/iiif"
    assert neighbour(Place("/"), **AT_DJINN) == "http://here:8000"
    assert neighbour(Place("/iiif", "iiif.example"), **AT_DJINN) == "http://here:8000/iiif"
    assert neighbour(Place("/iiif"), "https://a.example/base/", **AT_DJINN) == "https://a.example/base/iiif"


def test_a_neighbour_with_a_host_of_its_own_is_found_there_on_the_same_port() -> None:
    assert neighbour(Place(None, "iiif.example"), **AT_DJINN) == "http://iiif.example:8000"
    assert neighbour(Place(None, "iiif.example:99"), **AT_DJINN) == "http://iiif.example:99"
    assert neighbour(Place(None, "iiif.example"), scheme="https", **AT_DJINN) == "https://iiif.example:8000"


def test_from_a_host_of_an_api_s_own_a_neighbour_is_named_only_where_it_can_be_found() -> None:
    assert neighbour(Place("/iiif"), **AT_A_HOST) is None
    assert neighbour(Place("/iiif", "iiif.example"), **AT_A_HOST) == "http://iiif.example:8000"
    assert neighbour(Place("/iiif"), "https://a.example/base", **AT_A_HOST) == "https://a.example/base/iiif"
    assert neighbour(Place(None), **AT_DJINN) is None
