"""Fetching over http and https from real servers: what is taken, what is refused, when it stops (djinn contract 7)."""

import base64
import contextlib
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinakes.core.errors import TooLarge
from pinakes.core.imports import over_http
from pinakes.core.imports.addresses import AddressPolicy
from pinakes.core.imports.connections import Dialer, Resolved
from pinakes.core.imports.sources import parse_source
from pinakes.core.imports.transfer import FetchFailed, ImportLimits, Watch
from tests.core.imports.fetched import LIMITS, Kept, Stopped, fetch, impatient, in_turn, naming, stop_after
from tests.core.imports.serving import Behaviour, Talk, certificate, web_server

BODY = bytes(range(256)) * 9000  # more than two pieces


def failure(url: str, **options: Any) -> str:
    with pytest.raises(FetchFailed) as caught:
        fetch(url, **options)
    return str(caught.value)


def failure_of(behaviour: Behaviour, **options: Any) -> str:
    with web_server(behaviour) as server:
        return failure(server.url(), **options)


def raw(data: bytes) -> Behaviour:
    """Send just these bytes and close."""
    return lambda talk: talk.send(data)


# -- What is taken ------------------------------------------------------------------------------------------------


def test_a_file_comes_as_it_is_sent() -> None:
    with web_server(lambda talk: talk.answer(BODY)) as server:
        kept = fetch(server.url("/a%20b/ä?q=1&r=%2F"))
    assert (bytes(kept.content), kept.expected) == (BODY, [len(BODY)])
    (request,) = server.requests
    assert request.startswith("GET /a%20b/%C3%A4?q=1&r=%2F HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{server.port}\r\n" in request
    assert "Accept-Encoding: identity" in request
    assert "Authorization" not in request


def test_a_chunked_body_is_put_together() -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:5], BODY[5:1000], BODY[1000:]))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
    with web_server(raw(head + chunks + b"0\r\nTrailer: x\r\n\r\n")) as server:
        kept = fetch(server.url())
    assert (bytes(kept.content), kept.expected) == (BODY, [None])


def test_a_body_of_no_told_length_ends_with_the_connection() -> None:
    with web_server(raw(b"HTTP/1.0 200 OK\r\n\r\n" + BODY)) as server:
        assert bytes(fetch(server.url()).content) == BODY


def test_what_comes_beyond_the_told_length_is_not_read() -> None:
    with web_server(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")) as server:
        assert bytes(fetch(server.url()).content) == b"abc"


def test_a_slow_body_is_waited_for() -> None:
    def dribble(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        for byte in b"abcd":
            time.sleep(0.3)
            talk.send(bytes([byte]))

    with web_server(dribble) as server:  # each pause is longer than a turn of waiting
        assert bytes(fetch(server.url(), limits=impatient(idle_seconds=1)).content) == b"abcd"


def test_user_info_is_sent_as_basic_authentication() -> None:
    def judge(talk: Talk) -> None:
        expected = "Basic " + base64.b64encode("us:er".replace(":", "").encode() + b":p@ss/").decode()
        talk.answer(b"in") if talk.header("authorization") == expected else talk.answer(b"", "401 Unauthorized")

    with web_server(judge) as server:
        assert bytes(fetch(server.url(login="user:p%40ss%2F@")).content) == b"in"
        assert failure(server.url(login="user:wrong@")) == "The server answered 401."


# -- What is refused ----------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN: dict[str, tuple[bytes, str]] = {
    "no answer": (b"", "did not answer as a web server"),
    "no http": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "did not answer as a web server"),
    "odd status": (b"HTTP/1.1 two OK\r\n\r\n", "did not answer as a web server"),
    "cut head": (HEAD[:9], "did not answer as a web server"),
    "long status": (b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n", "did not answer as a web server"),
    "long header": (HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n", "did not answer as a web server"),
    "many headers": (HEAD + b"X: y\r\n" * 200 + b"\r\n", "did not answer as a web server"),
    "short body": (HEAD + b"Content-Length: 10\r\n\r\nabc", "ended early: 3 of 10 bytes"),
    "short chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "ended early"),
    "no last chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "ended early"),
    "no chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nabc\r\n", "ended early"),
    "negative chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n", "ended early"),
    "two lengths": (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "did not say clearly"),
    "negative length": (HEAD + b"Content-Length: -3\r\n\r\nabc", "did not say clearly"),
    "huge length": (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc", "did not say clearly"),
    "odd length": (HEAD + "Content-Length: ²\r\n\r\nabc".encode("latin-1"), "did not say clearly"),
    "unknown coding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "encoding that is not known"),
    "padded coding": (HEAD + b"Transfer-Encoding: chunked \r\n\r\n3\r\nabc\r\n0\r\n\r\n", "encoding that is not known"),
    "encoded": (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "sent the file encoded"),
    "not found": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered 404"),
    "failing": (b"HTTP/1.1 500 secret reason\r\nContent-Length: 3\r\n\r\nabc", "answered 500"),
    "partial": (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\nabc", "answered 206"),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", "answered 204"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_answer_is_told_in_words(case: str) -> None:
    data, expected = BROKEN[case]
    text = failure_of(raw(data))
    assert expected in text
    assert "secret" not in text


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=80)
    | st.binary(max_size=40).map(lambda tail: HEAD + tail)
    | st.binary(max_size=40).map(lambda tail: HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + tail)
    | st.binary(max_size=40).map(lambda value: b"HTTP/1.1 302 x\r\nLocation: " + value + b"\r\n\r\n")
)
def test_whatever_a_server_sends_it_is_fetched_or_fails_in_words(data: bytes) -> None:
    with web_server(raw(data)) as server, contextlib.suppress(FetchFailed):
        fetch(server.url(), limits=impatient(total_seconds=3, idle_seconds=2))


def test_a_reset_connection_is_told() -> None:
    def reset(talk: Talk) -> None:
        talk.send(HEAD + b"Content-Length: 10\r\n\r\nabc")
        talk.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert failure_of(reset) in ("The connection to the server broke.", "The file ended early: 3 of 10 bytes came.")


def test_a_refused_connection_and_an_unknown_name_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(f"http://127.0.0.1:{port}/") == "The server could not be reached."
    assert failure("http://no-such-host.invalid/") == "The host's name could not be resolved."
    assert failure(f"http://{'a' * 70}.example/") == "The host's name could not be resolved."


def test_what_the_receiver_raises_ends_the_transfer() -> None:
    class Small(Kept):
        def write(self, piece: bytes) -> None:
            raise TooLarge(len(piece))

    with web_server(lambda talk: talk.answer(BODY)) as server, pytest.raises(TooLarge):
        fetch(server.url(), into=Small())


# -- When it stops ------------------------------------------------------------------------------------------------


def silence_before(part: str) -> Behaviour:
    """A server that falls silent before a part of its answer."""
    parts = {"head": b"", "end of head": HEAD, "body": HEAD + b"Content-Length: 9\r\n\r\n"}
    parts["rest of body"] = parts["body"] + b"abc"
    parts["chunk"] = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"

    def behave(talk: Talk) -> None:
        talk.send(parts[part])
        talk.wait()

    return behave


@pytest.mark.parametrize("part", ["head", "end of head", "body", "rest of body", "chunk"])
def test_a_transfer_that_is_not_wanted_any_more_stops_within_a_second(part: str) -> None:
    with web_server(silence_before(part)) as server, pytest.raises(Stopped):
        begun = time.monotonic()
        fetch(server.url(), check=stop_after(0.1))
    assert time.monotonic() - begun < 1


def test_a_silent_server_is_given_up() -> None:
    text = failure_of(silence_before("rest of body"), limits=impatient(idle_seconds=0.4))
    assert text == "The server kept silent for 0.4 seconds."


def test_the_time_that_keeping_a_piece_takes_is_not_the_servers_silence() -> None:
    class Slow(Kept):
        def write(self, piece: bytes) -> None:
            time.sleep(0.3)
            super().write(piece)

    def in_two_parts(talk: Talk) -> None:
        talk.send(HEAD + b"Content-Length: 2\r\n\r\na")
        time.sleep(0.1)
        talk.send(b"b")

    with web_server(in_two_parts) as server:
        assert bytes(fetch(server.url(), into=Slow(), limits=impatient(idle_seconds=0.2)).content) == b"ab"


def endless(head: bytes, piece: bytes) -> Behaviour:
    def behave(talk: Talk) -> None:
        talk.send(head)
        while True:
            talk.send(piece)
            time.sleep(0.01)

    return behave


@pytest.mark.parametrize(
    "behaviour",
    [
        endless(HEAD + b"\r\n", b"x"),
        endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "trailers", "continues"],
)
def test_a_server_that_never_ends_is_given_up_in_all(behaviour: Behaviour) -> None:
    text = failure_of(behaviour, limits=impatient(total_seconds=0.6))
    assert text == "The transfer took longer than 0.6 seconds."


def test_a_resolver_that_does_not_answer_does_not_hold_the_transfer_up() -> None:
    def resolver(host: str, port: int) -> Resolved:
        time.sleep(1.5)
        return naming("127.0.0.1")(host, port)

    begun = time.monotonic()
    with pytest.raises(Stopped):
        fetch("http://slow.example/", resolver=resolver, check=stop_after(0.1))
    assert time.monotonic() - begun < 1


def test_an_address_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):  # fill the queue of those nobody accepts, so that the next is left without an answer
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(("127.0.0.1", port))
        assert failure(f"http://127.0.0.1:{port}/", limits=impatient(idle_seconds=0.5)).startswith("The server")
        for one in waiting:
            one.close()


# -- Addresses ----------------------------------------------------------------------------------------------------

REFUSED = "The host has an address that may not be fetched from."


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "0177.0.0.01",
        "0",
        "localhost",
        "LocalHost",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "[::1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_7_5_loopback_is_refused_however_it_is_written(host: str) -> None:
    with web_server(lambda talk: talk.answer(b"secret")) as server:
        assert failure(server.url(host=host), limits=ImportLimits(total_seconds=5)) == REFUSED
    assert not server.requests


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "[::ffff:7f00:1]"])
def test_7_5_an_allowed_network_is_fetched_from_however_it_is_written(host: str) -> None:
    with web_server(lambda talk: talk.answer(b"in")) as server:
        assert bytes(fetch(server.url(host=host)).content) == b"in"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1", "10.0.0.1"], ["169.254.169.254", "127.0.0.1"], ["127.0.0.1", "fd00:ec2::254"]]
)
def test_every_address_of_a_name_must_be_allowed(addresses: list[str]) -> None:
    with web_server(lambda talk: talk.answer(b"in")) as server:
        url = server.url(host="several.example")
        assert failure(url, resolver=naming(*addresses)) == REFUSED
    assert not server.requests


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with web_server(lambda talk: talk.answer(b"in")) as server:
        url = server.url(host="several.example")
        kept = fetch(url, resolver=naming("127.0.0.2", "127.0.0.3", "127.0.0.1"))
    assert bytes(kept.content) == b"in"
    assert f"Host: several.example:{server.port}" in server.requests[0]


def test_a_name_is_resolved_once_and_the_judged_address_is_connected_to() -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]  # as of a name that is rebound between the look and the connection

    with web_server(lambda talk: talk.answer(b"in")) as server:
        assert bytes(fetch(server.url(host="rebound.example"), resolver=in_turn(answers)).content) == b"in"
    assert len(answers) == 1


def test_a_name_that_is_rebound_between_redirects_is_judged_again() -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    with web_server(lambda talk: talk.redirect("/y")) as server:
        assert failure(server.url(host="rebound.example"), resolver=in_turn(answers)) == REFUSED
    assert len(server.requests) == 1


# -- Redirects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"],
)
def test_a_redirect_is_followed(status: str) -> None:
    def behave(talk: Talk) -> None:
        talk.answer(BODY) if talk.target == "/end?a=%C3%A4" else talk.redirect("../end?a=ä", status)

    with web_server(lambda talk: _utf8(behave, talk)) as server:
        assert bytes(fetch(server.url("/a/b")).content) == BODY


def _utf8(behave: Behaviour, talk: Talk) -> None:
    """Servers send what is not ASCII in UTF-8; `Talk.answer` writes Latin-1."""
    if talk.target.startswith("/end"):
        behave(talk)
    else:
        talk.send(b"HTTP/1.1 302 Found\r\nLocation: ../end?a=\xc3\xa4\r\nContent-Length: 0\r\n\r\n")


def test_redirects_are_counted() -> None:
    with web_server(lambda talk: talk.redirect(f"/{int(talk.target[1:]) + 1}")) as server:
        assert failure(server.url("/0")) == "The server redirected more than 5 times."
    assert len(server.requests) == 6


UNFETCHABLE = "The server redirected to an address that cannot be fetched."
DEAD_ENDS = {
    "file:///etc/passwd": UNFETCHABLE,
    "ftp://127.0.0.1/x": UNFETCHABLE,
    "sftp://u:p@127.0.0.1/x": UNFETCHABLE,
    "javascript:1": UNFETCHABLE,
    "http://user:secret@127.0.0.1/": UNFETCHABLE,
    "http://user@127.0.0.1/": UNFETCHABLE,
    "http://[::1/": UNFETCHABLE,
    "http://h:99999/": UNFETCHABLE,
    "http://h/" + "a" * 9000: UNFETCHABLE,
    "": UNFETCHABLE,
    "/a\x01b": UNFETCHABLE,
    "http://169.254.169.254/latest/meta-data/": REFUSED,
    "http://[fd00:ec2::254]/": REFUSED,
    "http://0xa9fea9fe/": REFUSED,
    "//10.0.0.1/x": REFUSED,
    "http://[::ffff:10.0.0.1]/": REFUSED,
    "http://[64:ff9b::7f00:1]/": REFUSED,
}


@pytest.mark.parametrize("location", DEAD_ENDS, ids=lambda text: repr(text[:40]))
def test_a_redirect_to_what_may_not_be_fetched_is_refused(location: str) -> None:
    text = failure_of(lambda talk: talk.redirect(location))
    assert text == DEAD_ENDS[location]


def test_a_redirect_without_a_place_is_refused() -> None:
    assert failure_of(lambda talk: talk.answer(b"", "302 Found")) == UNFETCHABLE


def test_user_info_stays_with_its_own_host_and_port() -> None:
    with web_server(lambda talk: talk.answer(b"other")) as other:

        def behave(talk: Talk) -> None:
            talk.redirect("/same") if talk.target == "/x" else talk.redirect(other.url("/end"))

        with web_server(behave) as server:
            kept = fetch(server.url(login="user:secret@"))
    assert bytes(kept.content) == b"other"
    assert ["Authorization: Basic" in request for request in server.requests] == [True, True]
    assert "Authorization" not in other.requests[0]


def test_user_info_does_not_follow_a_name_to_another_host() -> None:
    def behave(talk: Talk) -> None:
        talk.redirect(f"http://other.example:{server.port}/end") if talk.target == "/x" else talk.answer(b"other")

    with web_server(behave) as server:
        url = server.url(host="first.example", login="user:secret@")
        kept = fetch(url, resolver=naming("127.0.0.1"))
    assert bytes(kept.content) == b"other"
    assert ["Authorization" in request for request in server.requests] == [True, False]


# -- TLS ----------------------------------------------------------------------------------------------------------


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    server_context, _ = certificate(tmp_path, "localhost")
    with web_server(lambda talk: talk.answer(b"in"), server_context) as server:
        assert failure(server.url(host="127.0.0.1")) == "The server's certificate could not be verified."
    assert not server.requests


def test_a_certificate_is_checked_against_the_name_though_the_address_is_connected_to(tmp_path: Path) -> None:
    server_context, client_context = certificate(tmp_path, "archive.example")

    with web_server(lambda talk: talk.answer(BODY), server_context) as server:
        options: dict[str, Any] = {"context": client_context, "resolver": naming("127.0.0.1")}
        assert bytes(fetch(server.url(host="archive.example"), **options).content) == BODY
        text = failure(server.url(host="other.example"), **options)
    assert text == "The server's certificate could not be verified."


def test_a_server_without_tls_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 mail.example\r\n")

        pool.submit(greet)
        text = failure(f"https://127.0.0.1:{listener.getsockname()[1]}/")
    assert text == "No secure connection could be made to the server."


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python's ssl forgets a socket here
def test_a_server_that_hangs_up_before_tls_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        class Late(Dialer):
            """Comes to TLS when the server has reset the connection already."""

            def secure(self, plain: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
                accepted, _ = listener.accept()
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                accepted.close()
                return super().secure(plain, host, context)

        watch = Watch(lambda: None, LIMITS)
        source = parse_source(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        with pytest.raises(FetchFailed, match="No secure connection"):
            over_http.fetch(source, Kept(), Late(AddressPolicy(LIMITS.allowed), watch), watch, None)


def test_a_handshake_that_stalls_stops_within_a_second() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(Stopped):
        begun = time.monotonic()
        fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/", check=stop_after(0.1))
    assert time.monotonic() - begun < 1


def test_a_body_cut_off_under_tls_is_noticed_also_without_a_length(tmp_path: Path) -> None:
    server_context, client_context = certificate(tmp_path, "localhost")
    with web_server(raw(b"HTTP/1.0 200 OK\r\n\r\nabc"), server_context) as server:  # closes without saying so in TLS
        text = failure(server.url(host="localhost"), context=client_context, resolver=naming("127.0.0.1"))
    assert text == "The connection to the server broke."


def test_with_a_password_no_redirect_leads_from_https_to_http(tmp_path: Path) -> None:
    server_context, client_context = certificate(tmp_path, "localhost")
    with web_server(lambda talk: talk.answer(b"plain")) as plain:
        moved: Behaviour = lambda talk: talk.redirect(plain.url("/end", host="localhost"))  # noqa: E731
        with web_server(moved, server_context) as server:
            options: dict[str, Any] = {"context": client_context, "resolver": naming("127.0.0.1")}
            text = failure(server.url(host="localhost", login="user:secret@"), **options)
            assert "from https to http" in text
            assert not plain.requests
            assert bytes(fetch(server.url(host="localhost"), **options).content) == b"plain"
