"""The keeper's log: read back whatever a kill or a full disk has made of it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob.builtin.local.keeper.ends import Ends
from anyjob.builtin.local.keeper.log.job_log import JobLog
from anyjob.builtin.local.keeper.log.lines import (
    devices_line,
    end_line,
    event_line,
    keeper_line,
    process_line,
    replay,
    start_line,
)
from anyjob.builtin.local.keeper.log.writer import LogWriter


def event(job: str, attempt: int = 1, **more: Any) -> dict[str, Any]:
    known = {"code": 0, "cause": None, "started": 10.5, "finished": 11.5, "pid": 7}
    used = {"cpu_time": 0.25, "peak_memory": 4096, "read_bytes": 5, "written_bytes": None}
    return {"id": job, "attempt": attempt, "message": "", "report": None, **known, **used, **more}


lines = st.one_of(
    st.builds(start_line, st.sampled_from(["a", "b-1", "c_2"]), st.integers(1, 3), st.floats(0, 2e9)),
    st.builds(
        process_line,
        st.sampled_from(["a", "b-1", "c_2"]),
        st.integers(1, 3),
        st.integers(1, 1 << 22),
        st.integers(0, 1 << 40),
    ),
    st.builds(
        lambda job, attempt, message, cause, pid, report: end_line(
            event(job, attempt, message=message, cause=cause, pid=pid, report=report)
        ),
        st.sampled_from(["a", "b-1", "c_2"]),
        st.integers(1, 3),
        st.text(max_size=20),
        st.sampled_from([None, "cancel", "walltime", "start-failed"]),
        st.one_of(st.none(), st.integers(1, 1 << 22)),
        st.one_of(st.none(), st.binary(max_size=20)),
    ),
    st.builds(keeper_line, st.floats(0, 2e9)),
    st.builds(
        devices_line,
        st.sampled_from(["a", "b-1"]),
        st.integers(1, 3),
        st.sampled_from([["0"], ["GPU-ä", "1"]]),
    ),
    st.sampled_from([event_line({"op": "freed", "id": job, "attempt": 1}) for job in ("a", "b-1")]),
)


def test_what_a_newer_keeper_says_of_an_end_is_passed_over() -> None:
    line = end_line(event("a", message="it is gone", report=b"\n\x00 ="))
    assert replay(line.replace(b" message=", b" swapped=12 message=")).ended == {
        "a": event("a", message="it is gone", report=b"\n\x00 =")
    }


def test_gpus_are_held_until_nothing_is_left_of_their_job() -> None:
    started = start_line("a", 1, 10.0) + devices_line("a", 1, ["0", "GPU-b c"])
    assert replay(started).held == {"a": ["0", "GPU-b c"]}
    ended = started + end_line(event("a"))
    assert replay(ended).held == {"a": ["0", "GPU-b c"]}
    assert replay(ended + event_line({"op": "freed", "id": "a", "attempt": 1})).held == {}
    # What an earlier keeper had is killed before the next one starts.
    assert replay(ended + keeper_line(11.0)).held == {}


def test_a_job_that_has_ended_no_longer_runs() -> None:
    data = start_line("a", 1, 10.0) + process_line("a", 1, 7, 99) + start_line("b", 2, 11.0)
    log = replay(data)
    assert log.running["a"] == {"id": "a", "attempt": 1, "time": 10.0, "pid": 7, "starttime": 99}
    assert log.running["b"]["pid"] is None
    log = replay(data + end_line(event("a", code=-9, cause="cancel")))
    assert set(log.running) == {"b"}
    assert log.ended == {"a": event("a", code=-9, cause="cancel")}


@given(st.text())
def test_a_message_comes_back_as_it_was(message: str) -> None:
    told = event(
        "a", code=127, cause="start-failed", message=message, started=None, pid=None, peak_memory=None
    )
    line = end_line(told)
    assert line.count(b"\n") == 1
    assert replay(line).ended["a"] == told


@given(st.lists(lines, max_size=6))
def test_truncated_at_any_byte_it_says_what_its_whole_lines_say(written: list[bytes]) -> None:
    data = b"".join(written)
    for cut in range(len(data) + 1):
        whole = data[: data.rfind(b"\n", 0, cut) + 1]
        assert vars(replay(data[:cut])) == vars(replay(whole))


@given(st.lists(lines, max_size=4), st.binary(max_size=40), st.lists(lines, max_size=4))
def test_what_is_no_line_of_ours_is_passed_over(before: list[bytes], junk: bytes, after: list[bytes]) -> None:
    # Junk that happens to be a line of ours is one.
    junk = b"#" + junk.replace(b"\n", b"")
    with_junk = b"".join([*before, junk, b"\n", *after])
    assert vars(replay(with_junk)) == vars(replay(b"".join([*before, *after])))


def test_what_ran_when_an_earlier_keeper_died_is_lost_and_not_running() -> None:
    log = replay(start_line("a", 1, 1.0) + keeper_line(2.0) + start_line("b", 1, 3.0))
    assert (set(log.running), set(log.lost)) == ({"b"}, {"a"})


def test_the_writer_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(start_line("a", 1, 1.0) + b"P a 1 7 99")
    writer = LogWriter(str(path))
    writer.append(start_line("b", 1, 3.0))
    log = replay(path.read_bytes())
    assert (set(log.running), log.running["a"]["pid"]) == ({"a", "b"}, None)
    assert writer.size == path.stat().st_size


def test_a_line_that_does_not_fit_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(str(tmp_path / "log"), durable=True)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    writer.append(start_line("a", 1, 1.0), sync=True)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:5]))
    with pytest.raises(OSError, match="No space"):
        writer.append(start_line("b", 1, 3.0), sync=True)
    monkeypatch.undo()
    writer.append(start_line("c", 1, 4.0))
    assert (tmp_path / "log").read_bytes() == start_line("a", 1, 1.0) + start_line("c", 1, 4.0)


def test_compacting_keeps_what_runs_and_what_is_newer_than_asked(tmp_path: Path) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    for line in (start_line("a", 1, 1.0), start_line("b", 1, 2.0), end_line(event("a"))):
        writer.append(line)
    seen = writer.size
    writer.append(end_line(event("b")))
    writer.compact([start_line("b", 1, 2.0)], seen)
    log = replay((tmp_path / "log").read_bytes())
    assert (set(log.running), set(log.ended)) == (set(), {"b"})
    assert writer.size == (tmp_path / "log").stat().st_size
    writer.append(start_line("d", 1, 5.0))
    assert set(replay((tmp_path / "log").read_bytes()).running) == {"d"}


class Turns:
    """An event loop whose next turn comes when a test says so."""

    def __init__(self) -> None:
        self.due: list[Any] = []

    def call_later(self, seconds: float, call: Any, *args: Any) -> None:
        self.due.append(lambda: call(*args))

    def turn(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


class Told:
    """A supervisor's connection, with what it was told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.tell = self.tell_soon = self.events.append


class Keeper:
    """What a keeper has to do with the ends of jobs: its event loop, its log, and who is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = LogWriter(str(path))
        loop: Any = Turns()
        told: Any = Told()
        self.log = JobLog(self.writer, loop)
        self.ends = Ends(loop, self.log, told)
        self.turn = loop.turn
        self.told: list[dict[str, Any]] = told.events

    def logged(self, offset: int = 0) -> Any:
        """What its log says from there on."""
        return replay(self.path.read_bytes()[offset:])


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "log")


def test_an_end_that_is_told_lets_no_other_be_forgotten(keeper: Keeper) -> None:
    """Ends of one turn are written together; a supervisor may be killed when it has heard of the first alone.

    The next one would not find the others in a log that was compacted, and so run their jobs again.
    """
    ended = [{"op": "ended", **event(job)} for job in ("a", "b-1", "c_2")]
    keeper.ends.add(ended[0], others_wait=False)
    keeper.ends.add(ended[1], others_wait=True)
    keeper.log.process_started(SimpleNamespace(id="other", attempt=1, starttime=99), 7)  # type: ignore[arg-type]
    keeper.ends.add(ended[2], others_wait=False)
    keeper.turn()
    assert [each["id"] for each in keeper.told] == ["a", "b-1", "c_2"]
    for heard, each in enumerate(keeper.told, 1):
        assert [*keeper.logged(each["offset"]).ended] == ["a", "b-1", "c_2"][heard:]


def test_an_end_that_cannot_be_written_is_told_with_where_it_will_stand(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:

    def append(*args: Any, **how: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(keeper.writer, "append", append)
        keeper.ends.add({"op": "ended", **event("a")}, others_wait=False)
        keeper.turn()
    keeper.turn()
    assert [*keeper.logged(keeper.told[0]["offset"]).ended] == ["a"]


def test_who_ends_and_who_follows_are_written_together(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one system call; where that fails, the end is written later, and the other one does not start."""
    following: Any = SimpleNamespace(id="b-1", attempt=1, durable=False, devices=[], key=("b-1", 1))
    written: list[bytes] = []
    real = os.write

    def write(fd: int, data: bytes) -> int:
        written.append(data)
        return real(fd, data[:-1])

    monkeypatch.setattr(os, "write", write)
    keeper.ends.add({"op": "ended", **event("a")}, others_wait=True)
    with pytest.raises(OSError, match="No space"):
        keeper.log.starting(following)
    assert keeper.path.read_bytes() == b""
    assert len(written) == 1
    monkeypatch.undo()
    keeper.log.starting(following)
    keeper.turn()
    found = keeper.logged()
    assert (set(found.running), set(found.ended)) == ({"b-1"}, {"a"})
    assert [each["id"] for each in keeper.told] == ["a"]


def test_the_log_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"precious")
    (tmp_path / "log").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        LogWriter(str(tmp_path / "log"))
    assert (tmp_path / "other").read_bytes() == b"precious"
