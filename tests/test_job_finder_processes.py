"""Jobs of `local` outlive the process that submitted them, and handles work in other processes."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_until

from anyjob import Call, Command, Config, JobStatus, Registry, Session

LONG = 60


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("ANYJOB_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    preamble = f"import sys; sys.path[:] = {[entry for entry in sys.path if entry]!r}\n"
    return subprocess.run(
        [sys.executable, "-c", preamble + program, *arguments],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


SUBMITS_AND_DIES = """
import os, signal
import anyjob
command = anyjob.Command(["sh", "-c", "read line < " + sys.argv[1] + "; echo got $line"])
job = anyjob.get_backend("local").run(command)
print(job.job_id(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_job_whose_process_was_killed_is_found_at_once(state: Path, tmp_path: Path) -> None:
    """submitit#1707, psij-python#399: after the kernel has died, the status is right at once."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    died = python(SUBMITS_AND_DIES, str(gate))
    assert died.returncode == -signal.SIGKILL, died.stderr
    with Session(Config.from_dict({}), Registry(), state=state) as session:
        job = session.get_job(died.stdout.strip())
        assert job.status() in (JobStatus.QUEUED, JobStatus.RUNNING)
        wait_until(job.running)
        gate.write_text("through\n")
        assert job.result(LONG).stdout.text() == "got through\n"
    with Session(Config.from_dict({}), Registry(), state=state) as later:
        again = later.get_job(job.job_id())
        assert again.status() is JobStatus.DONE  # without being waited for
        assert again.result().stdout.text() == "got through\n"


UNPICKLES = """
import pickle, anyjob
with open(sys.argv[1], "rb") as stream:
    waits, ended = pickle.load(stream)
print(ended.result(), waits.status().name, flush=True)
print(waits.result(60).stdout.text(), end="")
print(type(waits).__name__, waits.job_id() == sys.argv[2])
"""


def test_handles_pickle_and_work_in_the_other_process(state: Path, tmp_path: Path) -> None:
    """qiskit-aer#240, qiskit#6978: save jobs, pickle handles."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    both = Config.from_dict({"backends": {"local": {"type": "local", "slots": 2}}})
    with Session(both, Registry(), state=state) as session:
        backend = session.get_backend("local")
        waits = backend.run(Command(["sh", "-c", f"read line < {gate}; echo $line"]))
        ended = backend.run(Call(pow, (2, 10)))
        assert ended.result(LONG) == 1024
        wait_until(waits.running)
        (tmp_path / "jobs").write_bytes(pickle.dumps((waits, ended)))
        assert pickle.loads(pickle.dumps(ended)) == ended
        other = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import sys; sys.path[:] = {[entry for entry in sys.path if entry]!r}\n" + UNPICKLES,
                str(tmp_path / "jobs"),
                waits.job_id(),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "1024 RUNNING\n"
        gate.write_text("hello\n")
        said, _ = other.communicate(timeout=LONG)
    assert said == "hello\nCommandJob True\n"
    assert other.returncode == 0


LISTS = """
import anyjob
for job in anyjob.jobs(name="fit", state="DONE"):
    print(type(job).__name__, job.spec().args, job.result())
anew = anyjob.rerun(anyjob.jobs(name="fit", state="ERROR"), name="again")
print([str(job.exception(60)) for job in anew])
print(len(anyjob.jobs(name="again")))
"""


def test_another_process_lists_and_runs_anew(state: Path) -> None:
    with Session(Config.from_dict({}), Registry(), state=state) as session:
        jobs = session.get_backend("local").map(int, ["1", "x", "3"], name="fit")
        session.wait(jobs, LONG)
    listed = python(LISTS)
    assert listed.stdout.splitlines() == [
        "PythonJob ('1',) 1",
        "PythonJob ('3',) 3",
        "[\"invalid literal for int() with base 10: 'x'\"]",
        "1",
    ], listed.stderr


def test_a_ledger_that_is_damaged_while_a_job_runs(
    state: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with Session(Config.from_dict({}), Registry(), state=state) as session:
        backend: Any = session.get_backend("local")
        job = backend.run(Command(["sh", "-c", f"read line < {gate}; echo $line"]))
        wait_until(job.running)
        session.services.ledger.close()
        with open(session.services.ledger.path, "r+b") as stream:
            stream.write(os.urandom(4096))
        again = Session(Config.from_dict({}), Registry(), state=state).get_job(job.job_id())
        gate.write_text("on\n")
        assert again.result(LONG).stdout.text() == "on\n"
        assert backend.run(Call(abs, (-1,))).result(LONG) == 1
