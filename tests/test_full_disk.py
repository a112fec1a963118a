"""A disk that is full: each message says so, what waits for room goes on once there is some."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running, until
from support.cli_program import PROGRAM, anyjob
from support.small_disk import fill, fill_up, mounted

from anyjob import BackendUnavailableError, Call, Command, JobFailedError, JobStatus, StateError
from anyjob.ledger.file.statedir import default_state
from anyjob.ledger.store import Ledger
from anyjob.spool import job_spool
from anyjob.spool.private_files import write_private
from anyjob.standalone import runner
from anyjob.text.full_disk import explain, is_full

FULL = "the disk is full"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, "size=32m") as disk:
        yield disk


@pytest.fixture
def local(disk: Path) -> Iterator[Local]:
    with running(disk) as local:
        local.backend.run(Call(abs, (-1,))).result(60)
        yield local


def told(caplog: pytest.LogCaptureFixture) -> str:
    return "".join(record.getMessage() for record in caplog.records if record.name == "anyjob")


# --- a job that fills it --------------------------------------------------------------------------


def test_a_result_that_does_not_fit_is_the_jobs_own_error(local: Local) -> None:
    job = local.backend.run(Call(bytes, (64 << 20,)))
    with pytest.raises(JobFailedError, match=rf"could not be written: {FULL} \(No space left on device\)"):
        job.result(60)
    assert "a result of 67" in job.outcome().message
    assert not list(local.state.rglob("*.part")), "what could not be written is removed"
    assert local.backend.run(Call(abs, (-2,))).result(60) == 2


def test_a_call_that_fills_it_ends_and_says_so(local: Local, disk: Path) -> None:
    job = local.backend.run(Call(fill, (str(disk / "fill"),)))
    with pytest.raises(JobFailedError, match="No space left on device"):
        job.result(60)
    assert FULL in job.outcome().message
    assert local.supervisor, "it is not its end"


def test_a_program_that_fills_it_ends_and_prune_frees_it(local: Local, disk: Path) -> None:
    job = local.backend.run(Command(["sh", "-c", "yes"]))
    assert job.outcome(timeout=60).status is JobStatus.ERROR
    assert not os.statvfs(disk).f_bavail or os.statvfs(disk).f_bavail * 4096 < 4 << 20
    fill_up(disk / "rest")
    with local.another() as session:
        assert job.job_id() in session.prune("0s")
    assert os.statvfs(disk).f_bavail * 4096 > 8 << 20
    assert local.backend.run(Call(abs, (-3,))).result(60) == 3


def test_no_job_fails_since_it_waits_while_the_disk_is_full(
    local: Local, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What runs, ends; what waits, waits; who waits for it is told why; all goes on once there is room."""
    script = f"read -r line < {local.fifo}"
    first = local.backend.run_many([Command(["sh", "-c", script])] * 2)
    until(lambda: all(job.status() is JobStatus.RUNNING for job in first), "they run")
    waiting = local.backend.run_many([Command(["true"])] * 6)
    (local.state / "ledger.reserve").unlink(missing_ok=True)
    fill_up(disk / "fill")
    gate = os.open(local.fifo, os.O_RDWR)  # a line for each, also for one that has not opened it yet
    os.write(gate, b"\n\n")
    until(lambda: FULL in told(caplog), "who waits is told")
    cancelled, *waiting = waiting
    (disk / "fill").unlink()
    cancelled.cancel()
    for job in [*first, *waiting]:
        assert job.outcome(timeout=60).status is JobStatus.DONE, job.outcome().message
    os.close(gate)


def test_a_cancel_that_cannot_be_written_is_not_accepted(local: Local, disk: Path) -> None:
    """Of jobs that wait: whoever dies next, what was accepted is not forgotten."""
    gate = local.backend.run(Command(["sleep", "1000"]), cpus=2)
    until(gate.running, "it runs")
    *_, first, second = local.backend.run_many([Command(["true"])] * 8)
    fill_up(disk / "fill")
    assert (local.state / "ledger.reserve").exists()
    assert first.cancel(), "room is kept for that"
    assert local.session.ledger.rows([first.job_id()])[first.job_id()].status is JobStatus.CANCELLED
    fill_up(disk / "rest")
    with pytest.raises(BackendUnavailableError, match=FULL):
        second.cancel()
    assert second.status() is JobStatus.QUEUED
    for name in ("fill", "rest"):
        (disk / name).unlink()
    assert second.cancel()
    assert second.status() is JobStatus.CANCELLED
    gate.cancel()


# --- nobody runs, and it is full ------------------------------------------------------------------


@pytest.fixture
def closed(local: Local, disk: Path) -> Local:
    """Jobs have left something, all of ours has ended, and the disk is full."""
    local.backend.run(Command(["sh", "-c", "head -c 4000000 /dev/zero"]), once="zeros").result(60)
    local.close()
    local.session.ledger.counts()
    local.session.ledger.close()  # the last to close it: who opens it next needs more files than there are
    assert not list(local.state.glob("ledger.sqlite-*"))
    (local.state / "ledger.reserve").unlink(missing_ok=True)
    fill_up(disk / "fill")
    return local


def test_what_was_can_be_read(closed: Local) -> None:
    with closed.another() as session:
        assert [job.status() for job in session.jobs()] == [JobStatus.DONE] * 2
    done = anyjob("jobs", env={**os.environ, "ANYJOB_STATE": str(closed.state)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"DONE") == 2


def test_prune_makes_room_by_itself(closed: Local, disk: Path) -> None:
    done = anyjob("prune", "--older-than", "0s", env={**os.environ, "ANYJOB_STATE": str(closed.state)})
    assert (done.returncode, done.stdout) == (0, b"2 jobs forgotten\n"), done.stderr
    assert os.statvfs(disk).f_bavail * 4096 > 3_900_000
    with closed.another() as session:
        assert session.jobs() == []


def test_prune_uses_what_is_kept_for_it(local: Local, disk: Path) -> None:
    """Where no job has left anything that could be removed."""
    local.close()
    assert (local.state / "ledger.reserve").stat().st_blocks * 512 >= 2 << 20
    for path in local.paths.spool.rglob("*"):
        if path.is_file():
            path.unlink()
    fill_up(disk / "fill")
    with local.another() as session:
        assert len(session.prune("0s")) == 1
        assert session.jobs() == []


def test_what_cannot_be_submitted_is_refused_and_nothing_stays(closed: Local, disk: Path) -> None:
    before = sorted(disk.rglob("*"))
    with closed.another() as session, pytest.raises(StateError, match=f"{FULL}.*anyjob prune.*ANYJOB_STATE"):
        session.get_backend("local").run(Command(["true"]))
    new = {path.name for path in disk.rglob("*")} - {path.name for path in before}
    assert new <= {"keeper.dead", "ledger.sqlite-shm", "ledger.sqlite-wal"}
    done = anyjob("run", "--", "true", env={**os.environ, "ANYJOB_STATE": str(closed.state)})
    assert done.returncode == 125
    assert FULL.encode() in done.stderr
    (disk / "fill").unlink()
    with closed.another() as session:
        assert session.get_backend("local").run(Call(abs, (-1,))).result(60) == 1


def test_a_job_that_waited_runs_when_there_is_room_again(
    local: Local, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Supervisor and keeper were killed, and the next ones find no room to begin: they wait for it."""
    runs = local.backend.run(Command(["sh", "-c", f"cat {local.fifo}"]), cpus=2)
    until(lambda: runs.status() is JobStatus.RUNNING, "it runs")
    waits = local.backend.run_many([Command(["true"])] * 3)[-1]
    local.kill("supervisor")
    local.kill("keeper")
    (local.state / "ledger.reserve").unlink(missing_ok=True)
    fill_up(disk / "fill")
    with caplog.at_level(logging.WARNING, "anyjob"):
        local.backend.listen()
        until(lambda: FULL in told(caplog), "who waits is told")
    (disk / "fill").unlink()
    assert waits.outcome(timeout=60).status is JobStatus.DONE
    assert runs.outcome(timeout=60).reason == "lost"


def test_no_room_for_another_file_is_said_too(tmp_path: Path) -> None:
    with mounted(tmp_path, "size=32m,nr_inodes=10") as disk:
        ledger = Ledger(disk / "state")
        ledger.counts()
        ledger.close()
        number = 0
        with contextlib.suppress(OSError):
            while True:
                (disk / f"{number}").touch()
                number += 1
        assert number < 10
        with pytest.raises(StateError, match=FULL):
            ledger.counts()


# --- other limits of the kind ---------------------------------------------------------------------


def test_the_limit_on_the_size_of_files_is_told_by_its_name(tmp_path: Path) -> None:
    """A call has the limits of who submitted it."""
    with running(tmp_path) as local:
        code = "import resource; from anyjob import Call; "
        code += "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY)); "
        code += "print(local.backend.run(Call(bytes, (2 << 20,))).outcome(timeout=60).message)"
        said, errors = local.program(code).communicate(timeout=60)
        assert "the limit on the size of files is reached (`ulimit -f`)" in said, errors


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, r"the disk is full \(No space left"),
        (errno.EDQUOT, r"the disk is full, as far as your quota goes \(Disk quota exceeded"),
        (errno.EFBIG, "ulimit -f"),
    ],
)
def test_each_kind_of_full_is_called_so(tmp_path: Path, number: int, words: str) -> None:
    error = OSError(number, os.strerror(number))
    assert is_full(error)
    assert not is_full(OSError(errno.EACCES, "no"))
    runner.say_unwritten(str(tmp_path), {"status": "DONE", "value": b"123"}, error)
    outcome = job_spool.read_outcome(tmp_path)
    assert outcome is not None
    assert re.search(words, explain(error))
    assert re.search(words, outcome.message)
    assert outcome.message.endswith("it was a result of 3 bytes")


@pytest.mark.parametrize("kib", [0, 1, 8, 64])
def test_a_limit_on_the_size_of_files_is_told_wherever_it_is_met(kib: int) -> None:
    """Whatever meets it first: the record of the sockets, or SQLite at its first, or a later, page."""
    limited = ["sh", "-c", f'ulimit -f {2 * kib}; exec "$@"', "sh", *PROGRAM, "run", "--", "true"]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=60)
    assert done.returncode == 125
    assert str(default_state()) in done.stderr
    assert "the limit on the size of files is reached (`ulimit -f`)" in done.stderr
    assert "ulimit -f unlimited" in done.stderr
    assert "rollback" not in done.stderr


def test_a_file_that_cannot_be_written_is_not_left_half(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=r"too large: '.*/file'"):
            write_private(tmp_path / "file", bytes(5000))
        report: dict[str, Any] = {"status": "DONE", "value": bytes(5000)}
        assert runner.leave_outcome(str(tmp_path), report) is False
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["outcome.error"]
