"""Messages over a stream socket."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from contextlib import suppress

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
    content = pickle.dumps(message)
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


def test_what_is_sent_together_says_once_what_it_has_in_common() -> None:
    raw, other = socket.socketpair()
    common = b"x" * 10_000
    sent = [{"n": number, "data": common} for number in range(100)]
    with raw, other:
        frames, reader = FrameSocket(other, together=True), FrameSocket(raw, together=True)
        for message in sent:
            frames.send(message)
        assert frames.pending
        assert frames.flush()
        assert not frames.pending
        received: list[object] = []
        while len(received) < len(sent):
            received += reader.receive()
        frames.send(sent[0])
        frames.flush()
        assert [received, reader.receive()] == [sent, sent[:1]]
        assert frames.flush(), "which has nothing to send"
    assert 2 * len(common) < frames_sent(sent) < 3 * len(common)


def frames_sent(messages: list[dict[str, object]]) -> int:
    """How many bytes messages are that are sent together."""
    raw, other = socket.socketpair()
    with raw, other:
        frames = FrameSocket(other, together=True)
        for message in messages:
            frames.send(message)
        frames.flush()
        return len(raw.recv(1 << 20))


def test_what_is_more_than_data_is_refused(ends: Ends) -> None:
    raw, frames = ends
    content = pickle.dumps(print)
    raw.sendall(len(content).to_bytes(4, "little") + content)
    with pytest.raises(ConnectionError, match=r"builtins\.print is no plain data"):
        frames.receive()


@given(st.binary(max_size=60))
def test_nonsense_is_data_or_ends_the_connection(content: bytes) -> None:
    raw, other = socket.socketpair()
    with raw, other:
        raw.sendall(len(content).to_bytes(4, "little") + content)
        with suppress(ConnectionError):
            assert len(FrameSocket(other).receive()) == 1
