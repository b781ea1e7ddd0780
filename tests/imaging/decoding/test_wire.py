"""Messages between a caller and its decoding process."""

import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.imaging.decoding import wire


@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_messages_arrive_whole_and_in_order(messages: list[bytes]) -> None:
    near, far = socket.socketpair()
    with near, far:
        for message in messages:
            wire.send(near, message)
        assert [bytes(wire.receive(far, time.monotonic() + 5)) for _ in messages] == messages


@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\0\5four", b"\xff\xff\xff\xff"])
def test_what_is_no_message_ends_the_talk(sent: bytes) -> None:
    near, far = socket.socketpair()
    with far:
        with near:
            near.sendall(sent)
        with pytest.raises(wire.Ended):
            wire.receive(far, time.monotonic() + 5)


@pytest.mark.parametrize("sent", [b"", b"\0\0\0\5four"])
def test_what_does_not_come_in_time_is_told(sent: bytes) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.sendall(sent)
        with pytest.raises(TimeoutError):
            wire.receive(far, time.monotonic() + 0.02)


def test_nobody_there_is_told() -> None:
    near, far = socket.socketpair()
    far.close()
    with near, pytest.raises(wire.Ended):
        wire.send(near, b"anyone?", time.monotonic() + 5)
