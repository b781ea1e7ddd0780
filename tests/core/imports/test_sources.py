"""Reading and showing the URL of an import (djinn contract 7.1, 7.2)."""

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.core.errors import InvalidFields
from pinakes.core.imports.sources import FIELD, MOST_CHARACTERS, Source, SourceReason, parse_source, redacted

SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def reason(text: str) -> str:
    with pytest.raises(InvalidFields) as caught:
        parse_source(text)
    assert list(caught.value.problems) == [FIELD]
    (found,) = caught.value.problems[FIELD]
    return found


GOOD = {
    "http://h/x.qcow2": ("http", "h", 80, "/x.qcow2", None, None),
    "HTTP://Host.Example": ("http", "host.example", 80, "/", None, None),
    "https://h:8443/a/b?c=d&e=%2F#f": ("https", "h", 8443, "/a/b?c=d&e=%2F", None, None),
    "https://user@h/x": ("https", "h", 443, "/x", "user", None),
    "https://us%40er:p%3Aw%2F@h/x": ("https", "h", 443, "/x", "us@er", "p:w/"),
    "https://a:b@c@h/x": ("https", "h", 443, "/x", "a", "b@c"),
    "http://[::1]:8080/x": ("http", "::1", 8080, "/x", None, None),
    "http://[2001:DB8:0:0::1]/x": ("http", "2001:db8::1", 80, "/x", None, None),
    "http://127.1/x": ("http", "127.1", 80, "/x", None, None),
    "http://0x7f.1/x": ("http", "0x7f.1", 80, "/x", None, None),
    "http://2130706433/x": ("http", "2130706433", 80, "/x", None, None),
    "http://bücher.example/ä?ö": ("http", "xn--bcher-kva.example", 80, "/%C3%A4?%C3%B6", None, None),
    "http://h/a%20b%": ("http", "h", 80, "/a%20b%", None, None),
    "sftp://u:p@h/a%20b/c.qcow2": ("sftp", "h", 22, "/a b/c.qcow2", "u", "p"),
    "sftp://u:p@h:2222/x": ("sftp", "h", 2222, "/x", "u", "p"),
}


@pytest.mark.parametrize("text", GOOD)
def test_a_url_is_read(text: str) -> None:
    source = parse_source(text)
    assert (source.scheme, source.host, source.port, source.target, source.user, source.password) == GOOD[text]


BAD = {
    "": SourceReason.SCHEME,
    "x": SourceReason.SCHEME,
    "//h/x": SourceReason.SCHEME,
    "http:/h/x": SourceReason.SCHEME,
    "http:h": SourceReason.SCHEME,
    "ftp://h/x": SourceReason.SCHEME,
    "file:///etc/passwd": SourceReason.SCHEME,
    "javascript:1": SourceReason.SCHEME,
    "gopher://127.0.0.1:25/x": SourceReason.SCHEME,
    "http://": SourceReason.HOST,
    "http:///x": SourceReason.HOST,
    "http://user:secret@/x": SourceReason.HOST,
    "http://-h/x": SourceReason.HOST,
    "http://h%2e/x": SourceReason.HOST,
    "http://%31/x": SourceReason.HOST,
    "http://h\\@other/x": None,  # the part behind the @ is the host, and the connection goes there
    "http://a\\b/x": SourceReason.HOST,
    "http://[::1/x": SourceReason.HOST,
    "http://[::1%25lo]/x": SourceReason.HOST,
    "http://[v1.x]/x": SourceReason.HOST,
    "http://[1.2.3.4]/x": SourceReason.HOST,
    "http://" + "a" * 300 + "/x": SourceReason.HOST,
    "http://" + "ü" * 300 + "/x": SourceReason.HOST,
    "http://h:0/x": SourceReason.PORT,
    "http://h:65536/x": SourceReason.PORT,
    "http://h:-1/x": SourceReason.PORT,
    "http://h:x/x": SourceReason.PORT,
    "http://h:" + "9" * 5000 + "/x": SourceReason.PORT,
    "http://h/x\r\nHost: other": SourceReason.CHARACTERS,
    "http://h/\0": SourceReason.CHARACTERS,
    "http://h/a b": SourceReason.CHARACTERS,
    "ht\ttp://h/": SourceReason.CHARACTERS,
    " http://h/": SourceReason.CHARACTERS,
    "http://h/\ud800": SourceReason.CHARACTERS,
    "http://h/\x85": SourceReason.CHARACTERS,
    "http://u%0d%0a:p@h/": SourceReason.ENCODING,
    "http://u:%ff@h/": SourceReason.ENCODING,
    "sftp://h/x": SourceReason.LOGIN,
    "sftp://u@h/x": SourceReason.LOGIN,
    "sftp://u:@h/x": SourceReason.LOGIN,
    "sftp://:p@h/x": SourceReason.LOGIN,
    "sftp://u:p@h": SourceReason.FILE,
    "sftp://u:p@h/dir/": SourceReason.FILE,
    "sftp://u:p@h/%00": SourceReason.ENCODING,
    "http://h/" + "a" * MOST_CHARACTERS: SourceReason.LENGTH,
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:30]))
def test_what_cannot_be_fetched_is_refused_with_a_reason(text: str) -> None:
    if (expected := BAD[text]) is None:
        assert parse_source(text).host == "other"
    else:
        assert reason(text) == expected


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda text: f"http://{text}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        source = parse_source(text)
    except InvalidFields:
        return
    line = f"{source.netloc}{source.target}"
    assert line.isascii()
    assert line.isprintable()
    assert " " not in line
    assert 0 < source.port < 65536


SHOWN = {
    "http://user:secret@h/x": "http://user:xxxxx@h/x",
    "HTTP://User:s:e:c@H:80/X?a=b@c:d#E": "HTTP://User:xxxxx@H:80/X?a=b@c:d#E",
    "http://user:@h/x": "http://user:xxxxx@h/x",
    "http://:secret@h/x": "http://:xxxxx@h/x",
    "http://user:p@ss@h/x": "http://user:xxxxx@h/x",
    "http://user@h/x": "http://user@h/x",
    "http://h/a:b@c": "http://h/a:b@c",
    "http://h?a:b@c": "http://h?a:b@c",
    "sftp://u:secret@h:22/x": "sftp://u:xxxxx@h:22/x",
}


@pytest.mark.parametrize("text", SHOWN)
def test_7_2_the_password_is_replaced_and_nothing_else(text: str) -> None:
    assert redacted(text) == SHOWN[text]


@given(SECRETS, SECRETS)
def test_a_password_is_never_shown_and_reads_back(user: str, password: str) -> None:
    hidden = f"pw-{password}-wp"
    text = f"https://{quote(user, safe='')}:{quote(hidden, safe='')}@host.example/x?y=z"
    source = parse_source(text)
    assert (source.user, source.password) == (user, hidden)
    assert source.shown == f"https://{quote(user, safe='')}:xxxxx@host.example/x?y=z"
    assert quote(hidden, safe="") not in source.shown
    assert hidden not in repr(source)
    assert urlsplit(source.shown).password == "xxxxx"


def test_a_host_header_names_the_port_only_where_it_is_not_the_usual_one() -> None:
    def netloc(text: str) -> str:
        source: Source = parse_source(text)
        return source.netloc

    assert netloc("http://h:80/") == "h"
    assert netloc("https://h:80/") == "h:80"
    assert netloc("http://[::1]:81/") == "[::1]:81"
