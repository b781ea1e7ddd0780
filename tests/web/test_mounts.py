"""Which application a path or a host leads to, and what that application sees."""

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.core.errors import SchemaMismatch
from pinakes.web.mounts import Mount, Mounts
from pinakes.web.origin import Origins, TrustedProxies
from pinakes.web.paths import UNREADABLE, routable, segments
from tests.web.asgi import Result, call, http_scope

ORIGINS = Origins()


class Echo:
    """Answers with what it sees."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002
        facts = (self.name, scope["path"], scope["raw_path"].decode("latin-1"), ORIGINS.base_url(scope))
        body = "\n".join(facts).encode("utf-8", "replace")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def mount(name: str, path: str | None, host: str | None = None, **options: Any) -> Mount:
    return Mount(Echo(name), path, host, name, **options)


MOUNTS = Mounts(
    [
        mount("tscharts", "/tscharts/v1", loose_slashes=True),
        mount("djinn", "/djinn", "ci.example.org", collapse_doubled=True),
        mount("native", "/pinakes/v1"),
        mount("pinakes", "/pinakes"),
        mount("deep", "/a/b/c"),
    ]
)


def seen(path: str, host: str = "h:8000", mounts: Mounts = MOUNTS) -> list[str]:
    """name, path, raw path and base URL as the application sees them; [] where there is none."""
    result = call(mounts, http_scope(path=path, headers=[("Host", host)]))
    return result.body.decode().split("\n") if result.status == 200 else []


@pytest.mark.parametrize(
    ("path", "name", "rest", "base"),
    [
        ("/djinn/images/3", "djinn", "/images/3", "http://h:8000/djinn"),
        ("/djinn", "djinn", "/", "http://h:8000/djinn"),
        ("/djinn/", "djinn", "/", "http://h:8000/djinn"),
        ("/djinn/djinn/images/3", "djinn", "/images/3", "http://h:8000/djinn"),
        ("/djinn/djinn", "djinn", "/", "http://h:8000/djinn"),
        ("/djinn/djinn/djinn/x", "djinn", "/djinn/x", "http://h:8000/djinn"),
        ("/djinn/djinnx", "djinn", "/djinnx", "http://h:8000/djinn"),
        ("/%64jinn/images", "djinn", "/images", "http://h:8000/djinn"),
        ("//djinn//images", "djinn", "//images", "http://h:8000/djinn"),
        ("/pinakes/v1/x", "native", "/x", "http://h:8000/pinakes/v1"),
        ("/pinakes/v2/x", "pinakes", "/v2/x", "http://h:8000/pinakes"),
        ("/pinakes/pinakes/x", "pinakes", "/pinakes/x", "http://h:8000/pinakes"),
        ("/a/b/c/d", "deep", "/d", "http://h:8000/a/b/c"),
        ("/tscharts/v1/image/5/", "tscharts", "/image/5", "http://h:8000/tscharts/v1"),
        ("/tscharts/v1//image//5", "tscharts", "/image/5", "http://h:8000/tscharts/v1"),
        ("//tscharts///v1/image//", "tscharts", "/image", "http://h:8000/tscharts/v1"),
        ("/tscharts/v1///", "tscharts", "/", "http://h:8000/tscharts/v1"),
    ],
)
def test_the_longest_prefix_wins_and_the_application_sees_the_rest(path: str, name: str, rest: str, base: str) -> None:
    found = seen(path)
    assert (found[0], found[1], found[3]) == (name, rest, base)


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/djin", "/djinnx", "/DJINN", "/tscharts", "/tscharts%2Fv1/image", "/%ff/djinn", "/a/b", "/a//b/"],
)
def test_any_other_path_is_not_found(path: str) -> None:
    result = call(MOUNTS, http_scope(path=path, headers=[("Host", "h")]))
    assert (result.status, result.json, result.headers["content-type"]) == (
        404,
        {"detail": "Not Found"},
        "application/json",
    )


@pytest.mark.parametrize("host", ["ci.example.org", "CI.Example.ORG:8443", "ci.example.org."])
def test_a_host_of_its_own_has_the_api_at_the_root(host: str) -> None:
    assert seen("/images/3", host) == ["djinn", "/images/3", "/images/3", f"http://{host}"]
    assert seen("/tscharts/v1/image", host)[0] == "djinn"


@pytest.mark.parametrize("host", ["ci.example.org.evil.org", "xci.example.org", "", "ci.example.org/", "a b"])
def test_other_hosts_are_not_taken_for_it(host: str) -> None:
    assert seen("/images/3", host) == []


def test_a_repeated_host_header_names_no_host() -> None:
    scope = http_scope(path="/images", headers=[("Host", "ci.example.org"), ("Host", "ci.example.org")])
    assert call(MOUNTS, scope).status == 404


def test_a_forwarded_host_counts_from_a_trusted_proxy_only() -> None:
    mounts = Mounts([mount("djinn", None, "ci.example.org")], trusted=TrustedProxies(["10.0.0.0/8"]))
    headers = [("Host", "backend"), ("X-Forwarded-Host", "ci.example.org")]
    assert call(mounts, http_scope(headers=headers, client="10.1.2.3")).status == 200
    assert call(mounts, http_scope(headers=headers, client="192.0.2.7")).status == 404


def test_an_application_at_the_root_takes_what_no_prefix_claims() -> None:
    mounts = Mounts([mount("ui", "/"), mount("djinn", "/djinn")])
    assert seen("/", mounts=mounts)[:2] == ["ui", "/"]
    assert seen("/images/3", mounts=mounts) == ["ui", "/images/3", "/images/3", "http://h:8000"]
    assert seen("/djinn/x", mounts=mounts)[:2] == ["djinn", "/x"]


def test_two_mounts_cannot_claim_one_place() -> None:
    with pytest.raises(ValueError, match="one and two"):
        Mounts([mount("one", "/x"), mount("two", "/x/")])
    with pytest.raises(ValueError, match="one and two"):
        Mounts([mount("one", None, "H"), mount("two", None, "h")])


def test_an_encoded_slash_is_no_separator_and_an_unreadable_segment_matches_nothing() -> None:
    assert seen("/djinn/n%2Fme")[1:3] == [f"/{UNREADABLE}", "/n%2Fme"]
    assert seen("/djinn/%ff/x")[1] == f"/{UNREADABLE}/x"
    assert seen("/djinn/a%00b")[1] == f"/{UNREADABLE}"
    assert seen("/djinn/caf%C3%A9")[1] == "/café"


# -- Paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "plain", "loose"),
    [
        ("/", [""], []),
        ("/a", ["a"], ["a"]),
        ("/a/", ["a", ""], ["a"]),
        ("/a//b///", ["a", "", "b", "", "", ""], ["a", "b"]),
        ("//", ["", ""], []),
        ("/a%2Fb/c", ["a/b", "c"], ["a/b", "c"]),
        ("/%C3%A9/%25", ["é", "%"], ["é", "%"]),
        ("/a%ff", None, None),
        ("/a%00", None, None),
        ("/a%zz", ["a%zz"], ["a%zz"]),
    ],
)
def test_segments_of_a_path(path: str, plain: list[str] | None, loose: list[str] | None) -> None:
    scope = http_scope(path=path)
    assert segments(scope) == plain
    assert segments(scope, merge_slashes=True, ignore_trailing=True) == loose


def test_a_trailing_slash_may_be_kept_while_runs_are_merged() -> None:
    assert segments(http_scope(path="/a//b//"), merge_slashes=True) == ["a", "b", ""]
    assert segments(http_scope(path="/a//b/"), ignore_trailing=True) == ["a", "", "b"]


@given(st.binary(max_size=40))
def test_no_path_makes_it_raise_or_yields_text_that_cannot_be_stored(rest: bytes) -> None:
    scope = {**http_scope(), "raw_path": b"/djinn/" + rest}
    for part in segments(scope) or []:
        assert "\x00" not in part
        part.encode("utf-8")
    path = routable(scope["raw_path"])
    path.encode("utf-8")
    assert path.count("/") == scope["raw_path"].count(b"/")
    assert call(MOUNTS, {**scope, "headers": [(b"host", b"h")]}).status == 200


# -- The life of the server ---------------------------------------------------------------------------------------


def live(mounts: Mounts) -> list[dict[str, Any]]:
    """Start and stop; what was told to the server."""
    sent: list[dict[str, Any]] = []
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(mounts({"type": "lifespan"}, receive, send))
    return sent


def test_start_and_stop_run_what_they_were_given_in_order() -> None:
    called: list[str] = []

    async def start() -> None:
        called.append("start")

    mounts = Mounts([], on_start=[start, lambda: called.append("more")], on_stop=[lambda: called.append("stop")])
    assert [message["type"] for message in live(mounts)] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert called == ["start", "more", "stop"]


def test_a_failed_start_stops_the_server_with_a_reason_but_no_secret() -> None:
    def fail(error: Exception) -> None:
        raise error

    known = live(Mounts([], on_start=[lambda: fail(SchemaMismatch())]))
    assert known == [{"type": "lifespan.startup.failed", "message": SchemaMismatch().message}]
    other = live(Mounts([], on_start=[lambda: fail(OSError("postgres://user:secret@host"))]))
    assert other == [{"type": "lifespan.startup.failed", "message": "OSError"}]


def test_one_part_that_fails_to_stop_does_not_keep_the_others_from_it(caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []

    def fail() -> None:
        raise OSError("secret")

    with caplog.at_level(logging.ERROR):
        sent = live(Mounts([], on_stop=[fail, lambda: called.append("stop")]))
    assert sent[-1] == {"type": "lifespan.shutdown.complete"}
    assert called == ["stop"]
    assert "OSError" in caplog.text
    assert "secret" not in caplog.text


def test_a_websocket_is_refused() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    asyncio.run(MOUNTS({"type": "websocket", "path": "/djinn", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1000}]


def test_an_application_s_own_faults_are_answered_and_their_messages_kept_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("secret")

    result: Result = call(Mounts([Mount(app, "/x", None, "x")]), http_scope(path="/x"))
    assert (result.status, result.json) == (500, {"detail": "Internal Server Error"})
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text
