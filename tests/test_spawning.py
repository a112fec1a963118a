"""Running programs, and ending them with all that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.waiting import wait_for_exit, wait_for_file, wait_until

from anyjob.errors import CommandFailedError, JobFailedError
from anyjob.execution import child_program, spawning
from anyjob.job import JobStatus
from anyjob.specs import Command, File


def run(command: Command, directory: Path) -> child_program.Program:
    with open(directory / "out", "wb") as out, open(directory / "err", "wb") as err:
        return spawning.start(command, {"GIVEN": "by a plugin", "BOTH": "plugin"}, out, err, directory)


def test_a_program_is_started_and_reaped(tmp_path: Path) -> None:
    command = Command(
        ["sh", "-c", 'echo "$GIVEN $BOTH $OWN $ANYJOB_SPOOL"; cat; cat files/*; exit 3'],
        env={"OWN": "mine", "BOTH": "spec"},
        cwd=str(tmp_path),
        stdin=File("x", b"read "),
        files={"f": File("x", b"laid")},
    )
    started = time.time()
    process = run(command, tmp_path)
    process.wait()
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE  # its pid is nobody else's yet
    outcome = process.reap(started)
    assert (outcome.status, outcome.reason, outcome.exit_code) == (JobStatus.ERROR, "exit-code", 3)
    assert outcome.started == started
    assert (outcome.peak_memory or 0) > 100_000
    assert (tmp_path / "out").read_text() == f"by a plugin spec mine {tmp_path}\nread laid"
    assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700


def test_it_leads_a_session_of_its_own(tmp_path: Path) -> None:
    process = run(Command([sys.executable, "-c", "import os; print(os.getsid(0), os.getpid())"]), tmp_path)
    process.wait()
    process.reap(0)
    session, pid = (tmp_path / "out").read_text().split()
    assert session == pid == str(process.pid)


def test_no_descriptor_of_ours_is_passed_on(tmp_path: Path) -> None:
    with open(os.devnull) as ours:
        os.set_inheritable(ours.fileno(), True)
        process = run(Command(["sh", "-c", f"ls /proc/self/fd | grep -cx {ours.fileno()}"]), tmp_path)
        process.wait()
        process.reap(0)
    assert (tmp_path / "out").read_text() == "0\n"


@pytest.mark.parametrize(
    ("code", "status", "reason", "message"),
    [
        (0, JobStatus.DONE, None, ""),
        (2, JobStatus.ERROR, "exit-code", "exit code 2"),
        (-9, JobStatus.ERROR, "signal", "ended by SIGKILL"),
        (-40, JobStatus.ERROR, "signal", "ended by signal 40"),
    ],
)
def test_codes_are_told(code: int, status: JobStatus, reason: str | None, message: str) -> None:
    outcome = child_program.exit_outcome(code, started=1.0)
    assert (outcome.status, outcome.reason, outcome.message) == (status, reason, message)
    assert outcome.exit_code == (code if code >= 0 else None)
    assert outcome.signal == (-code if code < 0 else None)
    assert outcome.started == 1.0


def test_a_tree_is_ended_by_term(tmp_path: Path) -> None:
    """dask-jobqueue#640, executorlib#1049: TERM first, so that clean-up runs."""
    script = (
        'trap "echo cleaned; exit 0" TERM; setsid sleep 100 & sleep 100 & '
        "echo x > ready; wait"  # by the shell itself, which has no more than these two children
    )
    process = run(Command(["sh", "-c", script], cwd=str(tmp_path)), tmp_path)
    wait_for_file(tmp_path / "ready")
    children = psutil.Process(process.pid).children(recursive=True)
    wait_until(lambda: any(os.getpgid(child.pid) != process.pid for child in children))
    spawning.terminate([process.pid])
    wait_for_exit(*(child.pid for child in children))
    assert process.reap(0).status is JobStatus.DONE
    assert (tmp_path / "out").read_text() == "cleaned\n"
    assert len(children) == 2


def test_what_ignores_term_is_killed(tmp_path: Path) -> None:
    process = run(
        Command(["sh", "-c", 'trap "" TERM; echo x > ready; sleep 100'], cwd=str(tmp_path)), tmp_path
    )
    wait_for_file(tmp_path / "ready")
    spawning.terminate([process.pid], grace=0.05)
    process.wait()
    assert process.reap(0).signal == signal.SIGKILL


def test_ending_what_has_ended_is_no_error(tmp_path: Path) -> None:
    process = run(Command(["true"]), tmp_path)
    process.wait()
    spawning.terminate([process.pid])
    process.reap(0)
    spawning.terminate([process.pid])
    spawning.terminate([])


# --- as part of a call ----------------------------------------------------------------------------


def test_a_program_in_a_call_gives_what_it_wrote() -> None:
    assert spawning.run_command(Command(["sh", "-c", "echo out; echo err >&2"])) == (b"out\n", b"err\n")


def test_a_program_in_a_call_gives_the_end_of_much_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawning, "RETURNED", 10)
    assert spawning.run_command(Command(["seq", "1000"])) == (b"\n999\n1000\n", b"")


def test_to_end_nothing_loads_nothing() -> None:
    program = (
        "import sys; from anyjob.execution import spawning; "
        "spawning.terminate([]); print('psutil' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"False\n"


def test_a_program_in_a_call_that_fails_raises() -> None:
    with pytest.raises(CommandFailedError, match="exit code 2") as caught:
        spawning.run_command(Command(["sh", "-c", "echo oh >&2; exit 2"]))
    assert caught.value.stderr == "oh\n"
    assert "oh" in str(caught.value), "told as of a program that runs as itself"
    with pytest.raises(JobFailedError, match="SIGTERM") as killed:
        spawning.run_command(Command(["sh", "-c", "kill $$"]))
    assert killed.value.reason == "signal"


def test_a_call_that_is_interrupted_ends_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tmp_path / "ready"

    def interrupted(process: child_program.Program) -> None:
        wait_for_file(ready)
        raise KeyboardInterrupt

    monkeypatch.setattr(child_program.Program, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spawning.run_command(Command(["sh", "-c", 'echo $$ > "$1"; sleep 100', "sh", str(ready)]))
    wait_for_exit(int(ready.read_text()))
