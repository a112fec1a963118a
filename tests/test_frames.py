"""Messages over a stream socket."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob.builtin.local.ipc.frames import LARGEST, FrameSocket

Ends = tuple[socket.socket, FrameSocket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    raw, other = socket.socketpair()
    other.setblocking(False)
    with raw, other:
        yield raw, FrameSocket(other)


def framed(message: object) -> bytes:
    content = msgspec.msgpack.encode(message)
    return len(content).to_bytes(4, "little") + content


messages = st.lists(
    st.dictionaries(st.text(max_size=5), st.one_of(st.integers(-9, 9), st.binary())), max_size=5
)


@given(messages, st.integers(1, 30))
def test_messages_arrive_however_they_were_cut(sent: list[dict[str, object]], size: int) -> None:
    raw, other = socket.socketpair()
    with raw, other:
        frames = FrameSocket(other)
        data = b"".join(framed(message) for message in sent)
        received = []
        for at in range(0, len(data), size):
            raw.sendall(data[at : at + size])
            received += frames.receive()
        assert received == sent


def test_the_end_comes_after_the_last_message(ends: Ends) -> None:
    raw, frames = ends
    assert frames.receive() == []
    raw.sendall(framed({"a": 1}) + b"\x05\0")
    raw.close()
    assert frames.receive() == [{"a": 1}]
    with pytest.raises(EOFError):
        frames.receive()


def test_a_peer_that_speaks_something_else_is_refused(ends: Ends) -> None:
    raw, frames = ends
    raw.sendall((LARGEST + 1).to_bytes(4, "little"))
    with pytest.raises(ConnectionError, match="speaks something else"):
        frames.receive()


def test_sending_never_blocks_and_goes_on_where_it_was(ends: Ends) -> None:
    raw, frames = ends
    raw.setblocking(True)
    reader = FrameSocket(raw)
    sent = [{"n": number, "data": b"x" * 100_000} for number in range(40)]
    for message in sent:
        frames.send(message)
    assert not frames.flush()
    received: list[object] = []
    while len(received) < len(sent):
        received += reader.receive()
        frames.flush()
    assert received == sent
    assert frames.flush()


def test_it_can_carry_something_else_than_msgpack() -> None:
    one, other = socket.socketpair()
    with one, other:
        sender = FrameSocket(one, pickle.dumps, pickle.loads)
        sender.send((1, {2}))
        assert sender.flush()
        assert FrameSocket(other, pickle.dumps, pickle.loads).receive() == [(1, {2})]
