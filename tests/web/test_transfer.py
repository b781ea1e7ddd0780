"""Bodies in and out, in process: the parts that need no server to be seen."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from starlette.requests import Request

from pinakes.core.content.store import new_key
from pinakes.core.content.stores.memory import MemoryStore
from pinakes.core.content.uploads import Upload
from pinakes.core.errors import StorageFull, TooLarge, UploadBroken
from pinakes.web.bridge import Bridge
from pinakes.web.download import ContentResponse, StreamResponse
from pinakes.web.exchange import drain
from pinakes.web.feed import PIECE_BYTES, Feed
from pinakes.web.transfer import chunks, content_length, read_body, receive_into
from tests.web.asgi import GONE, Incoming, body, call, http_scope

T = TypeVar("T")
MIB = 1024 * 1024


def run(work: Callable[[Bridge], Awaitable[T]]) -> T:
    """Run a coroutine with a bridge of its own."""

    async def main() -> T:
        bridge = Bridge(inline=True)
        try:
            async with asyncio.timeout(10):
                return await work(bridge)
        finally:
            bridge.close()

    return asyncio.run(main())


class Sink:
    """Keeps what it is given, and whether two calls ever overlapped."""

    def __init__(self, seconds: float = 0) -> None:
        self.pieces: list[bytes] = []
        self.threads: set[str] = set()
        self.seconds = seconds
        self.is_inside = False
        self.overlapped = False

    def write(self, piece: bytes | bytearray) -> None:
        self.overlapped |= self.is_inside
        self.is_inside = True
        time.sleep(self.seconds)
        self.pieces.append(bytes(piece))
        self.threads.add(threading.current_thread().name)
        self.is_inside = False


# -- The bridge ---------------------------------------------------------------------------------------------------


def test_quick_work_runs_in_the_loop_only_where_that_was_allowed() -> None:
    async def names(inline: bool) -> tuple[str, str]:
        bridge = Bridge(inline)
        try:
            return await bridge.quick(_thread_name), await bridge.thread(_thread_name)
        finally:
            bridge.close()

    main = threading.current_thread().name
    inline, hopped = asyncio.run(names(True)), asyncio.run(names(False))
    assert inline[0] == main
    assert main not in (inline[1], *hopped)


def test_a_cancelled_caller_waits_until_its_thread_has_ended() -> None:
    events: list[str] = []

    def slow() -> None:
        time.sleep(0.05)
        events.append("thread ended")

    async def work(bridge: Bridge) -> None:
        task = asyncio.create_task(bridge.thread(slow))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        events.append("caller ended")

    run(work)
    assert events == ["thread ended", "caller ended"]


def _thread_name() -> str:
    return threading.current_thread().name


# -- In -----------------------------------------------------------------------------------------------------------


def test_small_messages_are_gathered_to_pieces_of_a_mebibyte_in_order_and_one_at_a_time() -> None:
    sink = Sink()
    messages = [os.urandom(65_000) for _ in range(80)]
    assert run(lambda bridge: receive_into(Incoming(body(*messages)), sink, bridge)) == 80 * 65_000
    assert b"".join(sink.pieces) == b"".join(messages)
    assert all(PIECE_BYTES <= len(piece) < PIECE_BYTES + 65_000 for piece in sink.pieces[:-1])
    assert not sink.overlapped
    assert threading.current_thread().name not in sink.threads


def test_a_small_body_is_one_piece() -> None:
    sink = Sink()
    run(lambda bridge: receive_into(Incoming(body(b"ab", b"c")), sink, bridge))
    assert sink.pieces == [b"abc"]


def test_reception_waits_for_a_slow_sink_with_only_a_few_pieces_on_their_way() -> None:
    sink = Sink(seconds=0.01)
    most = 0

    class Counting(Incoming):
        async def __call__(self) -> Any:
            nonlocal most
            message = await super().__call__()
            most = max(most, self.asked - len(sink.pieces))
            return message

    run(lambda bridge: receive_into(Counting(body(*[bytes(PIECE_BYTES)] * 30)), sink, bridge))
    assert len(sink.pieces) == 30
    assert most <= 5  # two waiting, one in the sink, one gathered, one just received


def test_receiving_goes_on_while_the_sink_writes() -> None:
    sink = Sink(seconds=0.1)
    incoming = Incoming(body(bytes(PIECE_BYTES), bytes(PIECE_BYTES)))

    async def work(bridge: Bridge) -> int:
        task = asyncio.create_task(receive_into(incoming, sink, bridge))
        while not sink.is_inside:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        asked, written = incoming.asked, len(sink.pieces)
        await task
        assert written == 0
        return asked

    assert run(work) == 3


@pytest.mark.parametrize("fails_at", [0, 1, 5])
def test_what_the_sink_raises_comes_out_and_nothing_runs_afterwards(fails_at: int) -> None:
    class Failing(Sink):
        def write(self, piece: bytes | bytearray) -> None:
            if len(self.pieces) == fails_at:
                raise StorageFull
            super().write(piece)

    sink = Failing()
    incoming = Incoming(body(*[bytes(PIECE_BYTES)] * (fails_at + 10)))
    with pytest.raises(StorageFull):
        run(lambda bridge: receive_into(incoming, sink, bridge))
    assert len(sink.pieces) == fails_at
    assert incoming.messages, "the rest of the body was read before the fault was told"


def test_a_fault_at_the_very_last_piece_is_not_lost() -> None:
    class Failing(Sink):
        def write(self, piece: bytes | bytearray) -> None:  # noqa: ARG002
            raise StorageFull

    with pytest.raises(StorageFull):
        run(lambda bridge: receive_into(Incoming(body(b"abc")), Failing(), bridge))


@pytest.mark.parametrize("messages", [[GONE], [*body(b"ab")[:1], GONE], [*body(bytes(5 * MIB))[:1], GONE]])
def test_a_client_gone_in_the_middle_breaks_the_upload_and_the_store_is_left_empty(messages: list[Any]) -> None:
    store = MemoryStore()

    async def work(bridge: Bridge) -> None:
        with Upload(store, new_key(), max_bytes=None, expected_bytes=None) as upload:
            await receive_into(Incoming(messages), upload, bridge)

    with pytest.raises(UploadBroken):
        run(work)
    assert list(store.list()) == []


@pytest.mark.parametrize("expected", [2, 4])
def test_a_body_of_another_length_than_announced_breaks_the_upload(expected: int) -> None:
    with pytest.raises(UploadBroken):
        run(lambda bridge: receive_into(Incoming(body(b"abc")), Sink(), bridge, expected_bytes=expected))


def test_a_client_that_stalls_breaks_the_upload() -> None:
    with pytest.raises(UploadBroken):
        run(lambda bridge: receive_into(Incoming(body(b"abc")[:1]), Sink(), bridge, idle_seconds=0.01))


def test_a_slow_sink_does_not_count_as_a_client_that_stalls() -> None:
    sink = Sink(seconds=0.05)
    incoming = Incoming(body(*[bytes(PIECE_BYTES)] * 6))
    run(lambda bridge: receive_into(incoming, sink, bridge, idle_seconds=0.04))
    assert len(sink.pieces) == 6


def test_a_body_is_too_large_as_soon_as_it_passes_the_limit() -> None:
    incoming = Incoming(body(bytes(600), bytes(600), bytes(600)))
    with pytest.raises(TooLarge) as caught:
        run(lambda bridge: receive_into(incoming, Sink(), bridge, max_bytes=1000))
    assert caught.value.limit_bytes == 1000
    assert incoming.asked == 2


def test_a_limit_of_the_upload_itself_comes_out_too() -> None:
    async def work(bridge: Bridge) -> None:
        with Upload(MemoryStore(), new_key(), max_bytes=2 * MIB, expected_bytes=None) as upload:
            await receive_into(Incoming(body(*[bytes(MIB)] * 9)), upload, bridge)

    with pytest.raises(TooLarge):
        run(work)


def test_a_cancelled_reception_leaves_no_call_running() -> None:
    sink = Sink(seconds=0.05)

    async def work(bridge: Bridge) -> bool:
        task = asyncio.create_task(receive_into(Incoming(body(bytes(PIECE_BYTES))[:1]), sink, bridge))
        while not sink.is_inside:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return sink.is_inside

    assert run(work) is False
    assert len(sink.pieces) == 1


def test_a_feed_that_is_left_by_an_exception_drops_what_was_waiting() -> None:
    sink = Sink(seconds=0.02)

    async def work(bridge: Bridge) -> None:
        async with Feed(sink.write, bridge) as feed:
            for _ in range(3):
                await feed.put(bytes(PIECE_BYTES))
            raise KeyError

    with pytest.raises(KeyError):
        run(work)
    assert len(sink.pieces) < 3


def test_a_whole_body_is_read_within_its_limit() -> None:
    assert run(lambda _: read_body(Incoming(body()), 10)) == b""
    assert run(lambda _: read_body(Incoming(body(b"ab", b"", b"cd", b"ef")), 6)) == b"abcdef"
    with pytest.raises(TooLarge):
        run(lambda _: read_body(Incoming(body(b"ab", b"cd")), 3))
    with pytest.raises(UploadBroken):
        run(lambda _: read_body(Incoming([*body(b"ab")[:1], GONE]), 3))


def test_chunks_are_never_empty() -> None:
    async def work(_: Bridge) -> list[bytes]:
        return [chunk async for chunk in chunks(Incoming(body(b"", b"a", b"", b"b")))]

    assert run(work) == [b"a", b"b"]


@pytest.mark.parametrize(
    ("headers", "announced"),
    [
        ([], 0),
        ([("Content-Length", "0")], 0),
        ([("Content-Length", "12345678901234567890")], 12345678901234567890),
        ([("Content-Length", "9" * 5000)], None),
        ([("Content-Length", "-1")], None),
        ([("Transfer-Encoding", "chunked")], None),
        ([("Content-Length", "5"), ("Transfer-Encoding", "chunked")], None),
    ],
    ids=str,
)
def test_the_announced_length_of_a_body(headers: list[tuple[str, str]], announced: int | None) -> None:
    assert content_length(Request(http_scope("POST", headers=headers))) == announced


def test_draining_stops_at_the_end_at_a_limit_and_when_nothing_comes() -> None:
    ended = Incoming(body(bytes(10), bytes(10)))
    assert run(lambda _: drain(ended)) is True
    limited = Incoming(body(*[bytes(10)] * 100))
    assert run(lambda _: drain(limited, max_bytes=50)) is False
    assert limited.asked == 6
    assert run(lambda _: drain(Incoming(body(b"x")[:1]), idle_seconds=0.01)) is False
    assert run(lambda _: drain(Incoming(body(b"x")[:1]), seconds=0.01)) is False
    assert run(lambda _: drain(Incoming([GONE]))) is False


# -- Out ----------------------------------------------------------------------------------------------------------


class Reading:
    """A reader over bytes in which some answers need waiting, and that notices misuse."""

    def __init__(self, content: bytes, *, is_cached: bool = True, breaks_at: int | None = None) -> None:
        self.content = content
        self.size_bytes = len(content)
        self.is_cached = is_cached
        self.breaks_at = breaks_at
        self.is_closed = False
        self.read_bytes = 0
        self.is_inside = False

    def read_at(self, offset: int, length: int) -> bytes:
        assert not self.is_closed
        assert not self.is_inside
        self.is_inside = True
        time.sleep(0.001)
        self.is_inside = False
        if self.breaks_at is not None:
            length = min(length, max(0, self.breaks_at - offset))
        self.read_bytes += length
        return self.content[offset : offset + length]

    def read_now(self, offset: int, length: int) -> bytes | None:
        assert not self.is_closed
        assert not self.is_inside
        if not self.is_cached:
            return None
        self.read_bytes += length
        return self.content[offset : offset + min(length, 100_000)]

    def close(self) -> None:
        assert not self.is_inside
        self.is_closed = True


@pytest.mark.parametrize("is_cached", [True, False])
@pytest.mark.parametrize(
    ("offset", "length"), [(0, None), (0, 0), (1, 1), (5, 2 * MIB), (3 * MIB - 1, 1), (3 * MIB, None)]
)
def test_a_range_of_content_is_sent_exactly_and_its_reader_closed(
    is_cached: bool, offset: int, length: int | None
) -> None:
    reader = Reading(os.urandom(3 * MIB), is_cached=is_cached)
    end = reader.size_bytes if length is None else offset + length

    async def app(scope: Any, receive: Any, send: Any) -> None:
        bridge = Bridge(inline=True)
        await ContentResponse(reader, bridge, offset=offset, length=length)(scope, receive, send)
        bridge.close()

    result = call(app, http_scope())
    assert result.body == reader.content[offset:end]
    assert result.headers["content-length"] == str(end - offset)
    assert result.is_complete
    assert reader.is_closed


def test_head_reads_nothing_and_closes_the_reader() -> None:
    reader = Reading(bytes(1000))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        bridge = Bridge(inline=True)
        await ContentResponse(reader, bridge)(scope, receive, send)
        bridge.close()

    result = call(app, http_scope("HEAD"))
    assert (result.body, result.headers["content-length"]) == (b"", "1000")
    assert reader.is_closed
    assert reader.read_bytes == 0


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_download_ends_when_its_client_leaves(is_cached: bool) -> None:
    reader = Reading(bytes(60 * MIB), is_cached=is_cached)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        bridge = Bridge(inline=True)
        await ContentResponse(reader, bridge)(scope, receive, send)
        bridge.close()

    result = call(app, http_scope(), [*body(), GONE])
    assert not result.is_complete
    assert len(result.body) < 10 * MIB
    assert reader.is_closed


def test_a_client_may_take_long_as_long_as_it_takes_something() -> None:
    reader = Reading(bytes(MIB))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def slow_send(message: Any) -> None:
            await asyncio.sleep(0.02)
            await send(message)

        bridge = Bridge(inline=True)
        await ContentResponse(reader, bridge, stall_seconds=0.1)(scope, receive, slow_send)
        bridge.close()

    result = call(app, http_scope())
    assert result.is_complete
    assert len(result.body) == MIB


def test_a_client_that_takes_nothing_is_given_up_and_the_reader_closed() -> None:
    reader = Reading(bytes(MIB))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def stuck_send(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        bridge = Bridge(inline=True)
        await ContentResponse(reader, bridge, stall_seconds=0.02)(scope, receive, stuck_send)
        bridge.close()

    assert not call(app, http_scope()).is_complete
    assert reader.is_closed


def test_content_shorter_than_its_size_never_ends_cleanly() -> None:
    reader = Reading(bytes(3 * MIB), is_cached=False, breaks_at=2 * MIB)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        bridge = Bridge(inline=True)
        await ContentResponse(reader, bridge)(scope, receive, send)
        bridge.close()

    result = call(app, http_scope())
    assert not result.is_complete
    assert len(result.body) == 2 * MIB
    assert reader.is_closed


@pytest.mark.parametrize("announced", [None, 299_999, 300_000, 300_001])
def test_a_made_answer_ends_cleanly_only_if_it_is_what_was_announced(announced: int | None) -> None:
    closed: list[bool] = []
    threads: set[str] = set()

    def pieces() -> Iterator[bytes]:
        for index in range(3):
            threads.add(threading.current_thread().name)
            yield b""
            yield bytes([index]) * 100_000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        bridge = Bridge(inline=True)
        response = StreamResponse(pieces(), bridge, content_length=announced, on_close=lambda: closed.append(True))
        await response(scope, receive, send)
        bridge.close()

    result = call(app, http_scope())
    assert result.is_complete is (announced in (None, 300_000))
    assert result.headers.get("content-length") == (str(announced) if announced else None)
    assert closed == [True]
    assert threading.current_thread().name not in threads


def test_head_of_a_made_answer_makes_nothing() -> None:
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        made.append(1)
        yield b"x"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        bridge = Bridge(inline=True)
        await StreamResponse(pieces(), bridge, content_length=1)(scope, receive, send)
        bridge.close()

    assert call(app, http_scope("HEAD")).headers["content-length"] == "1"
    assert made == []
