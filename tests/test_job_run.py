"""What runs jobs on this machine, for backends of plugins too: one job, a program, a warm process."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_for_exit, wait_for_file

from anyjob import Call, Command, File, JobStatus, Order, Resources
from anyjob.execution import child_program
from anyjob.sdk import JobRun, WorkerProcess, dump_call, outcome_from_report, run_program
from anyjob.standalone import runner


def job(walltime: Any = None) -> JobRun:
    resources = Resources(walltime=walltime)
    return JobRun(Order(job_id="1", spec=Call(abs, (-1,)), resources=resources, environment={}))


DONE = outcome_from_report({"status": "DONE"})


# --- one job --------------------------------------------------------------------------------------


def test_a_job_runs_to_its_end_once() -> None:
    run = job()
    assert (run.running, run.outcome) == (False, None)
    assert run.begin()
    assert run.running
    assert run.finish(DONE)
    assert not run.finish(outcome_from_report({"status": "ERROR"}))
    assert run.outcome is DONE
    assert not run.cancel()
    assert not run.begin()


def test_one_that_is_cancelled_before_it_begins_has_ended() -> None:
    run = job()
    assert run.cancel()
    assert run.outcome is not None
    assert run.outcome.status is JobStatus.CANCELLED
    assert not run.begin()
    assert not run.cancel()


def test_one_that_runs_and_cannot_be_ended_goes_on() -> None:
    run = job()
    run.begin()
    assert not run.cancel(ends=False)
    run.finish(DONE)
    assert run.outcome is DONE


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_cancel_ends_the_process(tmp_path: Path, when: str) -> None:
    """One that comes before there is a process, and one that comes while it runs."""
    run = job()
    assert run.begin()
    ready = tmp_path / "ready"

    def cancel() -> None:
        wait_for_file(ready)
        assert run.cancel()
        JobRun.end_processes([run])

    if when == "before":
        assert run.cancel()
    canceller = threading.Thread(target=cancel if when == "while" else lambda: None)
    canceller.start()
    command = Command(["sh", "-c", 'echo $$ > "$1"; exec sleep 100', "sh", str(ready)])
    outcome = run_program(command, {}, tmp_path, while_running=run.process)
    canceller.join()
    assert outcome.signal == signal.SIGTERM
    assert run.finish(outcome)
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.signal) == (JobStatus.CANCELLED, signal.SIGTERM)


def test_its_walltime_ends_the_process(tmp_path: Path) -> None:
    run = job(walltime=0.05)
    run.begin()
    run.finish(run_program(Command(["sleep", "100"]), {}, tmp_path, while_running=run.process))
    assert run.overdue
    assert run.outcome is not None
    assert (run.outcome.status, run.outcome.reason) == (JobStatus.ERROR, "walltime")
    assert "longer than the 0.05 s" in run.outcome.message


def test_processes_of_many_are_ended_from_several_threads() -> None:
    """Whoever waits for the locks of several waits in one order."""
    runs = [job() for _ in range(50)]
    threads = [
        threading.Thread(target=JobRun.end_processes, args=(each,))
        for each in (runs, runs[::-1])
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


# --- a program ------------------------------------------------------------------------------------


def test_a_program_runs_in_a_directory_that_is_made_for_it(tmp_path: Path) -> None:
    directory = tmp_path / "ab" / "job"
    command = Command(
        ["sh", "-c", 'echo "$A $B"; cat "$ANYJOB_SPOOL"/files/f; pwd >&2; exit 3'],
        env={"B": "spec"},
        files={"f": File("f", b"laid\n")},
    )
    outcome = run_program(command, {"A": "order", "B": "order"}, directory, cwd=str(tmp_path))
    assert (outcome.status, outcome.reason, outcome.exit_code) == (JobStatus.ERROR, "exit-code", 3)
    assert outcome.host == os.uname().nodename
    assert 0 < (outcome.started or 0) <= (outcome.finished or 0)
    assert (directory / "stdout").read_text() == "order spec\nlaid\n"
    assert (directory / "stderr").read_text() == f"{tmp_path}\n"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "stdout").stat().st_mode & 0o777 == 0o600


def test_its_output_may_go_elsewhere(tmp_path: Path) -> None:
    with open(tmp_path / "both", "wb") as both:
        outcome = run_program(
            Command(["sh", "-c", "echo a; echo b >&2"]), {}, tmp_path / "job", stdout=both, stderr=both
        )
    assert outcome.status is JobStatus.DONE
    assert (tmp_path / "both").read_text() == "a\nb\n"
    assert list((tmp_path / "job").iterdir()) == []


def test_a_program_that_is_not_there_is_an_outcome(tmp_path: Path) -> None:
    outcome = run_program(Command(["no-such-program"]), {}, tmp_path)
    assert (outcome.exit_code, outcome.reason) == (127, "exit-code")
    assert "cannot start" in outcome.message


def test_what_interrupts_the_wait_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(process: Any) -> None:
        wait_for_file(tmp_path / "ready")
        raise KeyboardInterrupt

    monkeypatch.setattr(child_program.Program, "wait", interrupted)
    script = 'echo $$ > "$1"; exec sleep 100'
    with pytest.raises(KeyboardInterrupt):
        run_program(Command(["sh", "-c", script, "sh", str(tmp_path / "ready")]), {}, tmp_path / "job")
    wait_for_exit(int((tmp_path / "ready").read_text()))


# --- a warm process -------------------------------------------------------------------------------


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    made = WorkerProcess(sys.executable, tmp_path, 1)
    yield made
    if made.alive():
        made.close()


def call(worker: WorkerProcess, fn: Any, *arguments: Any, cwd: str | None = None, **environment: str) -> Any:
    worker.send(dump_call(Call(fn, arguments)), environment, cwd)
    return worker.receive()


def test_it_outlives_the_thread_that_has_made_it(tmp_path: Path) -> None:
    """Linux sends the signal of PR_SET_PDEATHSIG at the end of the thread that started the process."""
    made: list[WorkerProcess] = []

    def make() -> None:
        made.append(WorkerProcess(sys.executable, tmp_path, 1))
        call(made[0], "os:getpid")

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert outcome_from_report(call(made[0], "os:getpid")).status is JobStatus.DONE
    assert made[0].close() == 0


def test_one_process_makes_one_call_after_the_other(worker: WorkerProcess, tmp_path: Path) -> None:
    first = call(worker, "os:getpid")
    assert outcome_from_report(first).status is JobStatus.DONE
    assert first["value"] == runner.dumps(worker.pid)
    assert call(worker, "os:getenv", "GIVEN", GIVEN="yes")["value"] == runner.dumps("yes")
    assert call(worker, "os:getenv", "GIVEN")["value"] == runner.dumps(None)
    assert call(worker, "os:getcwd", cwd=str(tmp_path))["value"] == runner.dumps(str(tmp_path))
    assert call(worker, "os:getcwd")["value"] == runner.dumps(os.getcwd())
    assert call(worker, divmod, 1, 0)["reason"] == "exception"
    assert worker.close() == 0


def test_the_output_of_each_call_is_told_from_that_of_the_others(worker: WorkerProcess) -> None:
    call(worker, print, "one")
    call(worker, print, "two")
    path, start, stop = worker.last_logs()["stdout"]
    assert stop is not None
    assert path.read_bytes()[start:stop] == b"two\n"
    assert set(worker.last_logs()) == {"stdout"}


def test_the_output_of_each_call_can_be_removed_without_that_of_others(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    call(worker, print, "one")
    first = worker.last_logs()["stdout"][0]
    call(worker, abs, -1)
    assert worker.last_logs() == {}
    call(worker, print, "two")
    second = worker.last_logs()["stdout"][0]
    first.unlink()
    assert second.read_text() == "two\n"
    second.unlink()
    worker.close()
    assert not list(tmp_path.iterdir())


def test_who_waits_for_many_need_not_wait_for_one(worker: WorkerProcess) -> None:
    import select

    worker.send(dump_call(Call(abs, (-1,))), {})
    assert select.select([worker], [], [], 20)[0] == [worker]
    while not worker.has_answered():
        time.sleep(0)
    assert (worker.receive() or {})["status"] == "DONE"


@pytest.mark.parametrize(
    ("fn", "argument", "reason", "words"),
    [("os:_exit", 7, "exit-code", "exit code 7"), ("os:_exit", 0, "exit-code", "exit code 0")],
)
def test_a_call_that_ends_its_process_has_failed(
    worker: WorkerProcess, fn: str, argument: int, reason: str, words: str
) -> None:
    assert call(worker, fn, argument) is None
    outcome = worker.died()
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, reason)
    assert outcome.message == f"the call ended its process ({words}) and left no result"
    assert outcome.started is not None
    assert not worker.alive()


def test_one_that_was_killed_says_so(worker: WorkerProcess) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    assert call(worker, abs, -1) is None
    assert worker.died().signal == signal.SIGKILL
