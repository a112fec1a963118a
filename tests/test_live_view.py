"""What views outside of the core are made of: whether anything has changed, and what there is to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from anyjob import Command, Session
from anyjob.sdk import LiveView


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(state=tmp_path / "state")


def run(session: Session, name: str = "") -> str:
    job = session.get_backend("local").run(Command(["true"]), name=name)
    job.result(60)
    return str(job.job_id())


def test_nothing_is_there_before_the_first_job_and_looking_makes_nothing(session: Session) -> None:
    view = LiveView(session)
    assert view.changed()
    assert (view.jobs(), view.counts()) == ({}, {})
    assert not view.changed()
    assert not session.ledger.exists


def test_a_change_is_told_once(session: Session) -> None:
    view = LiveView(session)
    view.changed()
    job_id = run(session)
    assert view.changed()
    view.close()  # as after a fork, or where the file was replaced: it looks anew
    assert view.jobs()[job_id]["state"] == "DONE"
    assert view.counts() == {"DONE": 1}
    session.close()


def test_what_has_not_changed_is_the_same_object_and_the_newest_come_first(session: Session) -> None:
    view = LiveView(session, limit=2)
    first, second = run(session), run(session)
    before = view.jobs()
    assert list(before) == [second, first]
    third = run(session)
    after = view.jobs()
    assert list(after) == [third, second]
    assert after[second] is before[second]
    session.close()


def test_looking_writes_nothing(session: Session) -> None:
    run(session)
    session.close()
    before = session.ledger.path.read_bytes()
    view = LiveView(session)
    assert view.changed()
    assert view.jobs()
    assert view.counts()
    assert not view.changed()
    assert session.ledger.path.read_bytes() == before
    session.close()


def test_text_hides_nothing(session: Session) -> None:
    job_id = run(session, name="\u202egpj.exe\x1b[2J\n")
    assert LiveView(session).jobs()[job_id]["name"] == "\\u202egpj.exe\\x1b[2J\\n"
    session.close()
