"""What views outside of the core are made of: whether anything has changed, and what there is to show."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from anyjob import Command, JobError, Session, SpecError
from anyjob.sdk import LiveView
from anyjob.views.live.job_details import LogPart, as_part


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


def test_usage_is_summed_up_by_what_jobs_have_in_common(session: Session) -> None:
    view = LiveView(session)
    assert view.usage() == []
    run(session, "fit\x1b")
    run(session)
    (both,) = view.usage()
    assert (both["backend"], both["jobs"], both["done"]) == ("local", 2, 2)
    assert [(each["name"], each["jobs"]) for each in view.usage(["name"])] == [("", 1), ("fit\\x1b", 1)]
    assert view.usage(since=time.time() + 60) == []
    with pytest.raises(SpecError, match="not by 'colour'"):
        view.usage(["colour"])
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


def test_a_job_that_failed_is_told_closely(session: Session) -> None:
    job = session.get_backend("local").run(
        Command(["sh", "-c", "echo why >&2; exit 3"]), name="\x1b[2J", tags={"a": "b"}
    )
    job.exception(60)
    view = LiveView(session)
    found = view.details(job.job_id())
    assert found is not None
    assert (found["state"], found["exit_code"], found["name"]) == ("ERROR", 3, "\\x1b[2J")
    assert found["headline"].startswith("failed")
    assert found["tags"] == {"a": "b"}
    assert json.loads(json.dumps(found)) == found
    assert view.log(job.job_id(), "stderr") == LogPart(0, 4, "why\n")._asdict()
    assert view.details("0" * 18) is view.log("0" * 18) is None
    with pytest.raises(JobError, match="no stream"):
        view.log(job.job_id(), "../outcome")
    session.close()


def test_of_a_long_log_the_last_is_read_and_any_part_of_it(session: Session) -> None:
    job = session.get_backend("local").run(Command(["seq", "100000"]))
    job.result(60)
    view = LiveView(session)
    last = view.log(job.job_id(), size=7)
    assert last == {"begin": 588888, "end": 588895, "text": "100000\n", "trouble": ""}
    assert view.log(job.job_id(), begin=0, size=4) == {"begin": 0, "end": 4, "text": "1\n2\n", "trouble": ""}
    assert view.log(job.job_id(), begin=588895) == {"begin": 588895, "end": 588895, "text": "", "trouble": ""}
    session.close()


def test_what_backends_are_busy_with(session: Session) -> None:
    backend = session.get_backend("local", slots=1)
    jobs = backend.run_many([Command(["sleep", "600"])] * 2)
    view = LiveView(session)
    view.ask()
    (load,) = view.loads()
    assert (load["name"], load["running"] + load["queued"]) == ("local", 2)
    session.cancel(jobs)
    session.wait(jobs, timeout=60)
    assert view.loads() == []
    session.close()


@pytest.mark.parametrize(
    ("data", "end", "text"),
    [
        (b"a\xc3", 1, "a"),  # half of a character: the rest is still to come
        (b"a\xff b", 4, "a\ufffd b"),
        (b"10%\r50%\r100%\nend\r\n", 18, "100%\nend\n"),
        (b"\x1b[31m\tred", 9, "\\x1b[31m\tred"),
        (b"", 0, ""),
    ],
)
def test_bytes_of_a_log_are_text_that_moves_no_cursor(data: bytes, end: int, text: str) -> None:
    assert as_part(0, data) == LogPart(0, end, text)


def test_what_a_job_is_tied_to(session: Session) -> None:
    backend = session.get_backend("local")
    first = backend.run(Command(["true"]), name="\x1b[2J")
    last = backend.run(Command(["true"]), after=first)
    last.result(60)
    view = LiveView(session)
    found = view.graph(last.job_id())
    assert found is not None
    assert [node["jobs"] for node in found["nodes"]] == [[first.job_id()], [last.job_id()]]
    assert found["nodes"][0]["title"].startswith("\\x1b[2J")
    assert found["edges"] == [{"from": 0, "to": 1, "condition": "after"}]
    assert view.graph("0" * 18) is None
    session.close()
