"""When the keeper tells a supervisor what has happened: of a short job its end alone."""

from __future__ import annotations

from typing import Any

import pytest

from anyjob.builtin.local.keeper.supervisor_link import SupervisorLink


class Loop:
    """An event loop whose timers are due when a test says so, and that notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self._due: list[Any] = []

    def add_reader(self, source: object, callback: object) -> None:
        """Nobody connects."""

    def send(self, frames: object, message: dict[str, Any]) -> None:
        self.sent.append((message["op"], message["id"]))

    def call_later(self, seconds: float, call: Any) -> None:
        self._due.append(call)

    def turn(self) -> list[tuple[str, str]]:
        """Have all timers be due; return what was sent since the last turn."""
        due, self._due = self._due, []
        for call in due:
            call()
        sent, self.sent = self.sent, []
        return sent


def event(what: str, job: str) -> dict[str, Any]:
    return {"op": what, "id": job, "attempt": 1}


@pytest.fixture
def loop() -> Any:
    return Loop()


@pytest.fixture
def link(loop: Any) -> SupervisorLink:
    nothing: Any = object()
    made = SupervisorLink(loop, nothing, nothing, nothing, [], nothing)
    made._frames = nothing
    return made


def test_of_a_short_job_the_end_alone_is_told(loop: Any, link: SupervisorLink) -> None:
    """It has begun just before what has come together is told: that it runs would be news for a moment."""
    link.tell_soon(event("ended", "a"))
    link.tell_soon(event("started", "b"))
    assert loop.turn() == [("ended", "a")]
    link.tell_soon(event("ended", "b"))
    assert loop.turn() == [("ended", "b")]
    assert loop.turn() == []


def test_that_a_job_runs_is_told_at_the_second_turn(loop: Any, link: SupervisorLink) -> None:
    link.tell_soon(event("started", "a"))
    assert loop.turn() == []
    assert loop.turn() == [("started", "a")]
    assert loop.turn() == []


def test_an_end_that_is_told_at_once_has_those_before_it_told(loop: Any, link: SupervisorLink) -> None:
    link.tell_soon(event("ended", "a"))
    link.tell_soon(event("started", "c"))
    link.tell(event("ended", "b"))
    assert loop.sent == [("ended", "a"), ("ended", "b")]
    loop.sent.clear()
    assert loop.turn() == []
    assert loop.turn() == [("started", "c")]
