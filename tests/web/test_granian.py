"""What Granian does with bodies, and what the tools of `pinakes.web` make of it, over raw sockets."""

import hashlib
import os
import socket
import time
from pathlib import Path

import pytest

from tests.web.conftest import Server, Wire

EXPECT = {"Expect": "100-continue"}
CHUNKED = {"Transfer_Encoding": "chunked"}
MIB = 1024 * 1024


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def put(wire: Wire, data: bytes) -> str:
    wire.request("POST", "/api/put", data)
    key: str = wire.answer().json["key"]
    return key


# -- Bodies in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 1000, MIB - 1, MIB, MIB + 1, 5 * MIB + 17])
def test_a_body_of_any_size_is_stored_with_its_own_digest(wire: Wire, size: int) -> None:
    data = os.urandom(size)
    wire.request("POST", "/api/put", data)
    answer = wire.answer()
    assert (answer.status, answer.json["size"], answer.json["sha256"]) == (200, size, hashlib.sha256(data).hexdigest())


def test_a_chunked_body_is_stored_whatever_the_sizes_of_its_chunks(wire: Wire) -> None:
    pieces = [os.urandom(size) for size in (1, 70_000, 3, MIB, 2 * MIB + 5, 1)]
    wire.request("POST", "/api/put", **CHUNKED)
    wire.send(*(chunk(piece) for piece in pieces), b"0\r\n\r\n")
    assert wire.answer().json["sha256"] == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_a_body_that_comes_byte_by_byte_is_read(wire: Wire) -> None:
    wire.request("POST", "/api/count", Content_Length="5")
    for byte in b"hello":
        wire.send(bytes([byte]))
        time.sleep(0.005)
    assert wire.answer().json["size"] == 5


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"zz\r\n\r\n", id="no size"),
        pytest.param(b"5\r\nhello\r\nzz\r\n", id="no size after a good chunk"),
        pytest.param(b"3\r\nhello\r\n0\r\n\r\n", id="more data than the size says"),
        pytest.param(b"fffffffffffffffff\r\nhello\r\n", id="a size beyond 64 bits"),
        pytest.param(b"-5\r\nhello\r\n0\r\n\r\n", id="a negative size"),
        pytest.param(b"5\nhello\n0\n\n", id="bare line feeds"),
    ],
)
def test_a_malformed_chunk_is_a_broken_upload_answered_in_the_api_s_shape(
    wire: Wire, granian: Server, sent: bytes
) -> None:
    wire.request("POST", "/api/put", **CHUNKED)
    wire.send(sent)
    answer = wire.answer()
    assert (answer.status, answer.json) == (400, {"error": "UploadBroken"})
    assert wire.is_closed_by_server()
    assert partial_objects(granian) == []


def test_a_chunk_larger_than_what_is_sent_is_given_up_after_a_while(wire: Wire) -> None:
    wire.request("POST", "/api/put", **CHUNKED)
    wire.send(b"50\r\nhello\r\n0\r\n\r\n")
    assert wire.answer().json == {"error": "UploadBroken"}


@pytest.mark.parametrize("framing", [{"Content_Length": "100"}, CHUNKED])
def test_a_body_that_ends_early_is_a_broken_upload(wire: Wire, granian: Server, framing: dict[str, str]) -> None:
    wire.request("POST", "/api/put", **framing)
    wire.send(b"50\r\nhello")
    wire.socket.shutdown(socket.SHUT_WR)
    answer = wire.answer()
    assert (answer.status, answer.json) == (400, {"error": "UploadBroken"})
    assert partial_objects(granian) == []


def test_a_client_gone_in_the_middle_leaves_nothing_behind(granian: Server) -> None:
    wire = granian.connect()
    seen = len(granian.reports(error="UploadBroken"))
    wire.request("POST", "/api/put", Content_Length=str(50 * MIB))
    wire.send(os.urandom(5 * MIB))
    wire.close()
    granian.wait_for(error="UploadBroken", more_than=seen)
    assert partial_objects(granian) == []


def test_a_full_store_is_told_while_the_client_still_sends_and_no_thread_goes_on(wire: Wire, granian: Server) -> None:
    wire.request("POST", "/api/full", Content_Length=str(20 * MIB))
    wire.send(os.urandom(20 * MIB))
    answer = wire.answer()
    assert (answer.status, answer.json) == (507, {"error": "StorageFull"})
    assert granian.wait_for(error="StorageFull")["sinks"] == 0


def test_of_content_length_and_transfer_encoding_the_latter_counts_and_the_connection_ends(wire: Wire) -> None:
    wire.request("POST", "/api/count", Content_Length="3", **CHUNKED)
    wire.send(chunk(b"hello"), b"0\r\n\r\n")
    assert wire.answer().json["size"] == 5
    assert wire.is_closed_by_server()


@pytest.mark.parametrize("value", ["-3", "3, 5", "abc", "99999999999999999999999"])
def test_a_bad_content_length_never_reaches_the_application(wire: Wire, value: str) -> None:
    wire.request("POST", "/api/count", Content_Length=value)
    wire.send(b"hello")
    answer = wire.answer()
    assert (answer.status, answer.headers["connection"]) == (400, "close")


def test_two_different_content_lengths_never_reach_the_application(wire: Wire) -> None:
    wire.send(b"POST /api/count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello")
    assert wire.answer().status == 400


def test_a_small_body_over_its_limit_is_too_large(wire: Wire) -> None:
    wire.request("POST", "/api/small", b"x" * 1001)
    assert wire.answer().status == 413
    wire.request("POST", "/api/small", b"x" * 1000)
    assert wire.answer().json == {"size": 1000}


def test_a_form_streams_its_file_and_keeps_fields_from_before_and_after_it(wire: Wire) -> None:
    data = os.urandom(3 * MIB)
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="name"\r\n\r\nubuntu\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.qcow2"\r\n\r\n' + data + b"\r\n"
        b'--edge\r\nContent-Disposition: form-data; name="namespace"\r\n\r\nlab\r\n--edge--\r\n'
    )
    wire.request("POST", "/api/form", body, Content_Type="multipart/form-data; boundary=edge")
    assert wire.answer().json == {
        "fields": {"name": "ubuntu", "namespace": "lab"},
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_a_form_cut_off_by_its_client_is_broken(granian: Server) -> None:
    wire = granian.connect()
    wire.request("POST", "/api/form", Content_Type="multipart/form-data; boundary=edge", Content_Length="1000")
    wire.send(b'--edge\r\nContent-Disposition: form-data; name="name"\r\n\r\nubu')
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.answer().json == {"error": "UploadBroken"}
    wire.close()


# -- Expect: 100-continue -----------------------------------------------------------------------------------------


def test_a_client_that_expects_it_gets_a_100_when_its_body_is_wanted(wire: Wire) -> None:
    wire.request("POST", "/api/count", Content_Length="5", **EXPECT)
    assert wire._head()[0] == 100
    wire.send(b"hello")
    assert wire.answer().json["size"] == 5
    wire.request("GET", "/api/hello")
    assert wire.answer().status == 200


@pytest.mark.parametrize("framing", [{"Content_Length": str(10**12)}, CHUNKED])
def test_a_refused_client_that_expected_a_100_gets_the_final_status_alone(wire: Wire, framing: dict[str, str]) -> None:
    wire.request("POST", "/api/refuse", **framing, **EXPECT)
    answer = wire.answer()
    assert (answer.interim, answer.status, answer.headers["connection"]) == ([], 403, "close")
    assert wire.is_closed_by_server()


def test_a_refused_client_that_sends_its_body_all_the_same_can_read_the_answer(wire: Wire) -> None:
    wire.request("POST", "/api/refuse", Content_Length=str(8 * MIB), **EXPECT)
    time.sleep(0.1)
    for _ in range(8):
        wire.send(bytes(MIB))
    answer = wire.answer()
    assert (answer.interim, answer.status) == ([], 403)
    assert wire.is_closed_by_server()


# -- Early refusal ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 1000, 10 * MIB, 60 * MIB])
def test_after_an_early_refusal_the_body_is_drained_and_the_connection_goes_on(wire: Wire, size: int) -> None:
    wire.request("POST", "/api/refuse", bytes(size))
    assert wire.answer().status == 403
    wire.request("GET", "/api/hello")
    assert wire.answer().json == {"hello": "world"}


def test_the_answer_to_an_early_refusal_comes_before_the_body_is_sent(wire: Wire) -> None:
    wire.request("POST", "/api/refuse", Content_Length="100000")
    assert wire.answer().status == 403
    assert wire.is_silent()
    wire.send(bytes(100_000))
    wire.request("GET", "/api/hello")
    assert wire.answer().status == 200


def test_a_refused_body_beyond_the_limit_says_close_at_once_and_is_cut(wire: Wire) -> None:
    wire.request("POST", "/api/refuse", Content_Length=str(1000 * MIB))
    answer = wire.answer()
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    with pytest.raises(OSError):  # noqa: PT011  # reset or broken pipe
        for _ in range(1000):
            wire.send(bytes(MIB))


def test_a_refused_malformed_chunked_body_does_not_spoil_the_answer(wire: Wire) -> None:
    wire.request("POST", "/api/refuse", **CHUNKED)
    wire.send(b"3\r\nabc\r\nzz\r\n")
    assert wire.answer().status == 403
    assert wire.is_closed_by_server()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_on_get_or_delete_is_ignored_and_read_off_the_connection(wire: Wire, method: str) -> None:
    for is_late in (False, True):
        wire.request(method, "/api/hello", Content_Length="2", Content_Type="application/json")
        if is_late:
            time.sleep(0.05)
        wire.send(b"{}")
        assert wire.answer().json == {"hello": "world"}


@pytest.mark.parametrize(("method", "path", "status"), [("BREW", "/api/hello", 405), ("POST", "/nowhere", 404)])
def test_a_body_nobody_asked_for_is_drained_too(wire: Wire, method: str, path: str, status: int) -> None:
    wire.request(method, path, bytes(3 * MIB))
    assert wire.answer().status == status
    wire.request("GET", "/api/hello")
    assert wire.answer().status == 200


# -- Bodies out ---------------------------------------------------------------------------------------------------


def test_content_comes_back_whole_and_in_ranges(wire: Wire) -> None:
    data = os.urandom(3 * MIB + 11)
    key = put(wire, data)
    wire.request("GET", f"/api/get/{key}")
    whole = wire.answer()
    assert (whole.status, whole.body == data, whole.headers["accept-ranges"]) == (200, True, "bytes")
    wire.request("GET", f"/api/get/{key}", Range="bytes=1000000-2000000")
    part = wire.answer()
    assert (part.status, part.body == data[1_000_000:2_000_001]) == (206, True)
    assert part.headers["content-range"] == f"bytes 1000000-2000000/{len(data)}"
    wire.request("GET", f"/api/get/{key}", Range=f"bytes={len(data)}-")
    assert wire.answer().status == 416


def test_head_of_content_has_its_length_and_reads_none_of_it(wire: Wire, granian: Server) -> None:
    key = put(wire, bytes(MIB))
    seen = len(granian.reports(closed=True))
    wire.request("HEAD", f"/api/get/{key}")
    answer = wire.answer(is_head=True)
    assert (answer.status, answer.headers["content-length"]) == (200, str(MIB))
    assert granian.wait_for(closed=True, more_than=seen)["reached"] == 0
    wire.request("HEAD", "/api/hello")
    assert wire.answer(is_head=True).headers["content-length"] == "17"
    wire.request("GET", "/api/hello")
    assert wire.answer().status == 200


def test_the_next_request_may_be_sent_during_a_download(wire: Wire) -> None:
    data = bytes(8 * MIB)
    key = put(wire, data)
    wire.request("GET", f"/api/get/{key}")
    wire.request("GET", "/api/hello")
    assert wire.answer().body == data
    assert wire.answer().json == {"hello": "world"}


def test_a_download_stops_soon_after_its_client_has_left(wire: Wire, granian: Server) -> None:
    key = put(wire, bytes(64 * MIB))
    seen = len(granian.reports(closed=True))
    gone = granian.connect()
    gone.request("GET", f"/api/get/{key}")
    gone.socket.recv(1000)
    gone.close()
    assert granian.wait_for(closed=True, more_than=seen)["reached"] < 48 * MIB


def test_a_download_whose_client_takes_nothing_is_given_up(wire: Wire, granian: Server) -> None:
    key = put(wire, bytes(64 * MIB))
    seen = len(granian.reports(closed=True))
    stuck = granian.connect()
    stuck.request("GET", f"/api/get/{key}?stall=0.3")
    assert granian.wait_for(closed=True, more_than=seen)["reached"] < 48 * MIB
    assert len(stuck.until_closed()) < 48 * MIB
    stuck.close()


def test_other_requests_are_answered_during_downloads(wire: Wire, granian: Server) -> None:
    key = put(wire, bytes(64 * MIB))
    loader = granian.connect()
    loader.request("GET", f"/api/get/{key}")
    wire.request("GET", "/api/hello")
    assert wire.answer().status == 200
    assert len(loader.answer().body) == 64 * MIB
    loader.close()


def test_content_that_breaks_off_cuts_the_connection(wire: Wire, granian: Server) -> None:
    key = put(wire, bytes(4 * MIB))
    wire.request("GET", f"/api/broken/{key}?at={2 * MIB}")
    received = wire.until_closed()
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-length: 4194304" in head
    assert 0 < len(body) <= 2 * MIB


def test_content_that_cannot_be_read_at_all_is_an_error_of_the_api(wire: Wire) -> None:
    key = put(wire, bytes(MIB))
    wire.request("GET", f"/api/broken/{key}?at=0")
    assert (answer := wire.answer()).status == 507
    assert answer.json == {"error": "StorageFull"}


@pytest.mark.parametrize("query", ["n=20", "n=20&length"])
def test_a_made_answer_streams_with_or_without_a_length(wire: Wire, granian: Server, query: str) -> None:
    seen = len(granian.reports(closed=True))
    wire.request("GET", f"/api/stream?{query}")
    answer = wire.answer()
    assert answer.body == b"".join(bytes([index]) * 100_000 for index in range(20))
    assert ("content-length" in answer.headers) == ("length" in query)
    granian.wait_for(closed=True, more_than=seen)
    wire.request("GET", "/api/hello")
    assert wire.answer().status == 200


@pytest.mark.parametrize("query", ["n=20&fail=10", "n=20&length&fail=10"])
def test_a_made_answer_that_fails_midway_never_looks_complete(wire: Wire, granian: Server, query: str) -> None:
    wire.request("GET", f"/api/stream?{query}")
    received = wire.until_closed()
    assert received.startswith(b"HTTP/1.1 200")
    assert not received.endswith(b"0\r\n\r\n")
    assert "Secret" not in granian.log


# -- Faults -------------------------------------------------------------------------------------------------------


def test_an_unexpected_exception_is_a_500_in_the_api_s_shape_and_its_message_is_nowhere(
    wire: Wire, granian: Server
) -> None:
    wire.request("GET", "/api/crash")
    answer = wire.answer()
    assert (answer.status, answer.json) == (500, {"error": "RuntimeError"})
    wire.request("GET", "/crashing")
    answer = wire.answer()
    assert (answer.status, answer.json) == (500, {"detail": "Internal Server Error"})
    assert "Secret" not in granian.log


def test_strange_request_lines_are_not_found(granian: Server) -> None:
    for line in (b"OPTIONS *", b"GET http://elsewhere/api", b"GET //", b"GET /%ff", b"GET /%", b"GET /api%2Fhello"):
        wire = granian.connect()
        wire.send(line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.answer().status == 404
        wire.close()


def partial_objects(granian: Server) -> list[Path]:
    """Uploads the store has begun and neither committed nor aborted, once the server has had a moment."""
    root = granian.store
    for _ in range(100):
        found = [path for path in (root / "partial").rglob("*") if path.is_file()]
        if not found:
            break
        time.sleep(0.01)
    return found
