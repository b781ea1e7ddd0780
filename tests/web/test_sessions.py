"""Which requests a session's cookie counts for, told apart without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from pinakes.core.errors import Unauthenticated
from pinakes.web.origin import BY_HOST, Origins, TrustedProxies
from pinakes.web.sessions import is_from_own_page, session_of

TOKEN = "0123456789abcdef" * 2 + "01234567"
PLAIN = f"pinakes-session={TOKEN}"
SECURE = f"__Host-{PLAIN}"

Headers = list[tuple[str, str]]


def request(method: str, headers: Headers, *, scheme: str = "http", host: str = "archive.example:8000") -> Request:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in [("Host", host), *headers]]
    return Request({"type": "http", "method": method, "scheme": scheme, "headers": raw, "client": ("10.0.0.1", 1)})


def session(method: str, *headers: tuple[str, str], scheme: str = "http", origins: Origins | None = None) -> str | None:
    return session_of(request(method, list(headers), scheme=scheme), origins or Origins())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none"])
def test_looking_takes_a_cookie_whoever_asks(method: str, site: str) -> None:
    assert session(method, ("Cookie", PLAIN), ("Sec-Fetch-Site", site), ("Origin", "http://evil.example")) == TOKEN


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "TRACE", "MADEUP"])
def test_everything_else_takes_none_without_a_proof(method: str) -> None:
    with pytest.raises(Unauthenticated, match="Sec-Fetch-Site"):
        session(method, ("Cookie", PLAIN))
    assert session(method) is None
    assert session(method, ("Cookie", "other=1")) is None


HERE = ("Origin", "http://archive.example:8000")
PROOFS: list[tuple[Headers, bool | None]] = [
    ([], None),
    ([("Sec-Fetch-Site", "same-origin")], True),
    ([("Sec-Fetch-Site", "same-origin"), ("Origin", "https://behind.a.proxy.example")], True),
    ([HERE], True),
    ([("Sec-Fetch-Site", "same-site")], False),
    ([("Sec-Fetch-Site", "cross-site")], False),
    ([("Sec-Fetch-Site", "none")], False),
    ([("Sec-Fetch-Site", "")], False),
    ([("Sec-Fetch-Site", "cross-site"), HERE], False),
    ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "same-origin")], False),
    ([("Sec-Fetch-Site", "same-origin, cross-site")], False),
    ([HERE, HERE], False),
    ([("Origin", "null")], False),
    ([("Origin", "")], False),
    ([("Origin", "http://archive.example")], False),
    ([("Origin", "https://archive.example:8000")], False),
    ([("Origin", "http://archive.example:8000/")], False),
    ([("Origin", "http://archive.example:8000.evil.example")], False),
    ([("Origin", "http://lab.archive.example:8000")], False),
    ([("Origin", "http://archive.example:8000\xe4")], False),
    ([("Referer", "http://archive.example:8000/")], None),
]


@pytest.mark.parametrize(("headers", "is_own"), PROOFS)
def test_a_page_of_our_own_is_told_by_what_its_browser_says(headers: Headers, is_own: bool | None) -> None:
    """Fetch Metadata where there is any; else `Origin`, as browsers send it over plain HTTP."""
    assert is_from_own_page(request("POST", headers), Origins()) is is_own
    if is_own:
        assert session("POST", ("Cookie", PLAIN), *headers) == TOKEN
    else:
        with pytest.raises(Unauthenticated):
            session("POST", ("Cookie", PLAIN), *headers)


@pytest.mark.parametrize(
    ("scheme", "cookie", "counts"),
    [("http", PLAIN, True), ("http", SECURE, False), ("https", SECURE, True), ("https", PLAIN, False)],
)
def test_each_scheme_has_a_cookie_of_its_own(scheme: str, cookie: str, counts: bool) -> None:
    """Over HTTPS only the one that no neighbour and nobody on the line can have set."""
    assert session("GET", ("Cookie", cookie), scheme=scheme) == (TOKEN if counts else None)


def test_the_scheme_is_the_one_that_the_client_uses() -> None:
    trusting = Origins(trusted=TrustedProxies(["10.0.0.0/8"]))
    forwarded = ("X-Forwarded-Proto", "https")
    assert session("GET", ("Cookie", SECURE), forwarded, origins=trusting) == TOKEN
    assert session("GET", ("Cookie", SECURE), forwarded) is None
    assert session("GET", ("Cookie", SECURE), origins=Origins("https://archive.example")) == TOKEN


@pytest.mark.parametrize(
    "lines",
    [
        [f"{PLAIN}; {PLAIN}"],
        [PLAIN, PLAIN],
        [f"{PLAIN}; pinakes-session=other"],
        [f"x{PLAIN}"],
        [PLAIN.replace("=", " =")],
        ["pinakes-session"],
        [""],
    ],
)
def test_a_cookie_that_is_not_there_once_is_none(lines: list[str]) -> None:
    assert session("GET", *[("Cookie", line) for line in lines]) is None


@pytest.mark.parametrize("lines", [[f"a=1; {PLAIN};b"], ["a=1", PLAIN], [f" {PLAIN} "], [f";;{PLAIN};"]])
def test_a_cookie_is_found_among_others(lines: list[str]) -> None:
    assert session("GET", *[("Cookie", line) for line in lines]) == TOKEN


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_no_cookie_header_makes_it_raise(line: str) -> None:
    found = session("GET", ("Cookie", line))
    assert found is None or f"pinakes-session={found}" in line


@pytest.mark.parametrize(
    ("scheme", "host", "public", "origin"),
    [
        ("http", "archive.example", None, "http://archive.example"),
        ("http", "Archive.EXAMPLE:80", None, "http://archive.example"),
        ("https", "archive.example:443", None, "https://archive.example"),
        ("https", "archive.example:80", None, "https://archive.example:80"),
        ("http", "[::1]:8000", None, "http://[::1]:8000"),
        ("http", "[::80]", None, "http://[::80]"),
        ("http", "10.0.0.5", "https://archive.example:443/images/", "https://archive.example"),
    ],
)
def test_our_origin_is_written_as_browsers_write_it(scheme: str, host: str, public: str | None, origin: str) -> None:
    asked = request("GET", [], scheme=scheme, host=host)
    assert Origins(public).web_origin({**asked.scope, "pinakes.mount": "/iiif"}) == origin
    assert Origins().web_origin({**asked.scope, BY_HOST: True}).startswith(f"{scheme}://")
