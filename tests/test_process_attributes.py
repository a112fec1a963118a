"""What daemons and jobs of `local` inherit of who submits, beside the environment."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import SOURCE, TESTS, Local, running

from anyjob import Call, Command
from anyjob.builtin.local import process_attributes

STRANGE = """
import os, resource, signal
os.umask(0o027)
os.nice(3)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
resource.setrlimit(resource.RLIMIT_CPU, (1000, resource.getrlimit(resource.RLIMIT_CPU)[1]))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
os.environ["LC_ALL"] = "POSIX"
"""
SUBMIT = """
import sys, json
from anyjob import Call, Command
from running_local import Local
from pathlib import Path
from anyjob.builtin.local import process_attributes
own = Local(Path(sys.argv[1]))
jobs = [own.backend.run(Call(process_attributes.current)), own.backend.run(Command(["sleep", "0"]))]
[job.result(timeout=60) for job in jobs]
code = "from anyjob.builtin.local import process_attributes as p; print(p.current())"
program = [sys.executable, "-c", code]
said = own.backend.run(Command(program, env={"PYTHONPATH": sys.argv[2]})).result(timeout=60).stdout.text()
print([process_attributes.current(), jobs[0].result(), eval(said)])
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Local]:
    with running(tmp_path) as made:
        yield made


def submitted(own: Local, before: str = "") -> list[dict[str, Any]]:
    """The attributes of a process that submits, of a call and of a program of its."""
    done = subprocess.run(
        [sys.executable, "-c", before + SUBMIT, str(own.root), str(SOURCE)],
        env={**os.environ, "PYTHONPATH": f"{SOURCE}:{TESTS}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = eval(done.stdout)
    return found


def status(pid: int | None) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_whoever_starts_the_daemons_first_each_job_gets_what_its_own_submitter_has(own: Local) -> None:
    """SDL#15231, procServ#48, pueue#78: not what whoever came first had."""
    submitter, call, program = submitted(own, STRANGE)
    here = os.getpriority(os.PRIO_PROCESS, 0)
    assert (submitter["umask"], submitter["nice"]) == (0o027, here + 3)
    assert call == program == submitter
    submitter, call, program = submitted(own)
    assert call == program == submitter


def test_daemons_have_their_own(own: Local) -> None:
    """flux-core#4743: with SIGCHLD blocked, the keeper never reaped."""
    own.session.close()
    submitted(own, STRANGE)
    for pid in (own.supervisor, own.keeper):
        said = status(pid)
        assert said["SigBlk"] == "0" * 16
        assert int(said["SigIgn"], 16) & 1 << 9 == 0  # SIGUSR1
        assert said["Umask"] == "0077"
        assert pid is not None
        assert os.getcwd() != os.readlink(f"/proc/{pid}/cwd") == "/"
        assert len(os.sched_getaffinity(pid)) == os.cpu_count()
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] >= 1024
        assert resource.prlimit(pid, resource.RLIMIT_CPU)[0] == resource.getrlimit(resource.RLIMIT_CPU)[1]
        assert b"LC_ALL=C.UTF-8" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if os.getuid() == 0:  # nobody else may take back what was given up
            assert os.getpriority(os.PRIO_PROCESS, pid) == 0


def test_a_job_that_is_started_with_other_limits_and_cannot_be_says_why(own: Local) -> None:
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, limit[1]))
    try:
        assert own.backend.run(Command(["true"])).result(timeout=60)
        job = own.backend.run(Command(["/no/such/program"]))
        assert "cannot start: '/no/such/program' is not there" in str(job.exception(timeout=60))
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limit)


def test_outcomes_can_be_read_whatever_the_umask(own: Local) -> None:
    before = os.umask(0o777)
    try:
        job = own.backend.run(Call(process_attributes._umask))
    finally:
        os.umask(before)
    assert job.result(timeout=60) == 0o777
    for path in own.paths.spool.rglob("outcome.pkl"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_limit_that_cannot_be_raised_becomes_the_most_that_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []

    def refuse(number: int, limits: tuple[int, int]) -> None:
        asked.append(limits)
        if limits[1] > 100 or limits[1] == resource.RLIM_INFINITY:
            raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(resource, "getrlimit", lambda number: (50, 100))
    process_attributes.set_limit(0, 70, resource.RLIM_INFINITY)
    process_attributes.set_limit(0, 200, 300)
    assert asked[1::2] == [(70, 100), (100, 100)]
