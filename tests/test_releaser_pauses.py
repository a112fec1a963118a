"""When the ledger is looked into again does not follow from what was done about what was there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anyjob import Config, Session
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor import releasers
from anyjob.builtin.local.supervisor.releasers import Releasers
from anyjob.releaser import service
from anyjob.releaser.readings import Readings
from anyjob.releaser.service import Releaser


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that goes where a test says so, for releasers and who starts them."""
    made = SimpleNamespace(now=1000.0)
    made.monotonic = lambda: made.now
    monkeypatch.setattr(service, "time", made)
    monkeypatch.setattr(releasers, "time", made)
    return made


def passes(clock: SimpleNamespace, seconds: float, answer: Any) -> Any:
    """Return a function that takes so long to answer."""

    def take(*_: object) -> Any:
        clock.now += seconds
        return answer

    return take


def test_a_handover_that_takes_long_puts_off_no_other(tmp_path: Path, clock: SimpleNamespace) -> None:
    """To import Qiskit and hand circuits over took 14 s of a busy machine; the next waited for 140."""
    with Session(Config(), state=tmp_path) as session:
        releaser: Any = Releaser(session, "here", "key", Readings(tmp_path / "reading"))
        pauses: list[float] = []
        releaser._wake = SimpleNamespace(wait=pauses.append, clear=lambda: None)
        releaser._handover.go_on = passes(clock, 14.0, False)
        releaser._awaited.watch = passes(clock, 5.0, None)
        releaser.run()

    assert pauses == [service.POLL]


def test_a_look_that_takes_long_is_taken_seldom(tmp_path: Path, clock: SimpleNamespace) -> None:
    with Session(Config(), state=tmp_path) as session:
        releaser: Any = Releaser(session, "here", "key", Readings(tmp_path / "reading"))
        pauses: list[float] = []
        releaser._wake = SimpleNamespace(wait=pauses.append, clear=lambda: None)
        releaser._releases.due = passes(clock, 4.0, [])
        releaser.run()

    assert pauses == [pytest.approx(4.0 / service.SHARE)]


def test_to_start_a_releaser_puts_off_no_look(tmp_path: Path, clock: SimpleNamespace) -> None:
    with Session(Config(), state=tmp_path) as session:
        found: Any = Releasers(session.ledger, RuntimePaths(tmp_path, host="here"))
        found._releases = SimpleNamespace(waiting=lambda: {1}, due=lambda: [1])
        found._submitters = SimpleNamespace(key=lambda bulk: "key")
        found._start = passes(clock, 3.0, None)
        found.check(others_wait=True)

        assert found.pause == pytest.approx(releasers.POLL)
