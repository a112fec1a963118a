"""The channel to one machine: opened when something is asked, and anew where it has broken."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

from anyjob.errors import AnyjobError, BackendError, BackendUnavailableError
from anyjob.remote.messages import Hello
from anyjob.remote.near.channel import Channel, answered

WINDOW = 4
"""Requests that are on their way at a time, where there are many."""


class Connection:
    """Asks one machine, over one channel at a time. Several threads may use it.

    Args:
        open_channel: opens a channel.
    """

    def __init__(self, open_channel: Callable[[], Channel]) -> None:
        self._open_channel = open_channel
        self._opening = threading.Lock()
        self._channel: Channel | None = None

    def channel(self) -> Channel:
        """Return the channel; opened, where there is none.

        Raises:
            BackendError: it cannot be opened.
        """
        channel = self._channel
        if channel is not None and channel.is_open:
            return channel
        with self._opening:
            channel = self._channel
            if channel is None or not channel.is_open:
                channel = self._channel = self._open_channel()
                if channel.hello.problem:
                    problem = channel.hello.problem
                    channel.close()
                    raise BackendError(f"anyjob on {channel.hello.host}: {problem}")
        return channel

    def hello(self) -> Hello:
        """Return what the far side says of itself; the channel is opened for it. Each has another one.

        Raises:
            BackendError: it cannot be.
        """
        return self.channel().hello

    def ask(self, word: str, body: Any) -> Any:
        """Ask; where the channel breaks meanwhile, once more over a new one: no request does harm twice.

        That holds for one machine: another one is not asked again.

        Raises:
            BackendUnavailableError: it cannot be asked.
            BackendError: it could not do it.
        """
        channel = self.channel()
        try:
            return channel.ask(word, body)
        except BackendUnavailableError:
            if channel.is_open:
                raise  # it is not the channel that is away
        return self._asked_again(channel, word, body)

    def _asked_again(self, before: Channel, word: str, body: Any) -> Any:
        channel = self.channel()
        if channel.hello.identity != before.hello.identity:
            raise BackendUnavailableError(
                f"the connection to {before.hello.host} is lost, and the way there leads to "
                f"{channel.hello.state} of {channel.hello.host} now, and no more to {before.hello.state}"
            )
        return channel.ask(word, body)

    def pipelined(self, word: str, bodies: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each request with its answer, or with the error that came of it, some on their way at a time.

        Once one was sent nothing is raised: others may be done there whose answers are not read yet. Where
        there is no connection any more, whatever is said of that, they may have been done: it is "away".

        Raises:
            BackendError: there is no connection, and none was sent.
        """
        waiting: deque[tuple[Any, Channel | None, Future[Any] | None]] = deque()
        is_first = True
        for body in bodies:
            channel, answer = None, None
            try:
                channel = self.channel()
                answer = channel.send(word, body)
            except BackendError as error:
                if is_first and not isinstance(error, BackendUnavailableError):
                    raise
            is_first = False
            waiting.append((body, channel, answer))
            if len(waiting) >= WINDOW:
                first = waiting.popleft()
                yield first[0], self._answer_or_again(word, *first)
        for first in waiting:
            yield first[0], self._answer_or_again(word, *first)

    def _answer_or_again(
        self, word: str, body: Any, channel: Channel | None, answer: Future[Any] | None
    ) -> Any:
        if channel is not None and answer is not None:
            try:
                return answered(answer)
            except AnyjobError as error:
                if not isinstance(error, BackendUnavailableError) or channel.is_open:
                    return error
        try:
            self.channel()
        except BackendError as error:
            return BackendUnavailableError(str(error))
        try:
            return self.ask(word, body) if channel is None else self._asked_again(channel, word, body)
        except AnyjobError as error:
            return error

    def close(self) -> None:
        """Close the channel, if there is one."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
