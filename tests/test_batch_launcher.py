"""What runs on a node of a batch scheduler, run here as that would run it."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_up_nvml import OCCUPY, made_up_nvml
from support.waiting import wait_until

from anyjob import Call, Command, JobStatus, attempt
from anyjob.batch.compute_node import launcher
from anyjob.batch.dialect import Dialect
from anyjob.batch.files.claims import claim_for_nobody, claimed_by
from anyjob.batch.files.finding import memberships
from anyjob.batch.files.journal import Journal
from anyjob.batch.files.membership import Membership
from anyjob.batch.files.node_program import launcher_path, python_flags
from anyjob.batch.files.node_reports import read_observed_end
from anyjob.batch.files.submission import write_submission
from anyjob.orders import Order
from anyjob.outcome import Outcome
from anyjob.outputs.attempt_files import logs_of_attempt
from anyjob.resources import make_resources
from anyjob.runtime.ids import new_id
from anyjob.specs import Spec
from anyjob.spool.job_spool import path_of, read_outcome

TERMS = Dialect()
"""A scheduler that ends jobs by a TERM."""


class Node:
    """A submission in a spool, and a node that runs its jobs."""

    def __init__(
        self, root: Path, *specs: Spec, dialect: Dialect = TERMS, pack: int = 1, **resources: Any
    ) -> None:
        self.root = root
        variables = {name: resources.pop(name) for name in list(resources) if name.isupper()}
        self.orders = [
            Order(
                job_id=(job_id := new_id()),
                spec=spec,
                resources=make_resources(resources),
                environment={"ANYJOB_JOB_ID": job_id, **variables},
                spool=path_of(root, job_id),
            )
            for spec in specs
        ]
        self.launcher = launcher_path(root)
        self.submission = write_submission(root, self.orders, b"not-a-name=1\0", dialect, pack)

    def directory(self, number: int = 0) -> Path:
        spool = self.orders[number].spool
        assert spool is not None
        return spool

    def member(self, number: int = 0) -> Membership:
        job_id = self.orders[number].job_id
        return memberships(self.root, [job_id], TERMS)[job_id]

    def start(
        self, job: str = "7", task: int | None = None, restarts: int = 0, **variables: str
    ) -> subprocess.Popen[bytes]:
        environ = {
            **variables,
            "PATH": os.environ["PATH"],
            "ANYJOB_SUBMISSION": str(self.submission),
            "ANYJOB_JOB": job,
            "ANYJOB_TASK": "" if task is None else str(task),
            "ANYJOB_RESTARTS": str(restarts or ""),
        }
        return subprocess.Popen(
            [sys.executable, *python_flags(self.orders).split(), str(self.launcher)],
            env=environ,
            stderr=subprocess.PIPE,
            process_group=0,
        )

    def run(
        self, job: str = "7", task: int | None = None, restarts: int = 0, **variables: str
    ) -> tuple[int, str]:
        process = self.start(job, task, restarts, **variables)
        _, err = process.communicate(timeout=60)
        return process.returncode, err.decode()

    def outcome(self, number: int = 0) -> Outcome | None:
        return read_outcome(self.directory(number))

    def text(self, name: str, number: int = 0) -> str:
        return (self.directory(number) / name).read_text()


def test_a_program_gets_what_it_was_given_byte_for_byte(tmp_path: Path) -> None:
    """psij-python#423: arguments and variables, whatever they hold, and nothing of a shell's."""
    hostile = ["$(touch x)", "a b\n", "'\"\\", "é\udcff", "--", ""]
    (tmp_path / "in").write_bytes(b"\0\xff\n")
    code = (
        "import os, sys; print([*map(os.fsencode, sys.argv[1:]), os.environb[b'V'], sys.stdin.buffer.read()])"
    )
    spec = Command(
        [sys.executable, "-c", code, *hostile],
        env={"V": hostile[3]},
        stdin=tmp_path / "in",  # type: ignore[arg-type]
    )
    node = Node(tmp_path / "a %j 'b'", spec)
    assert node.run() == (0, "")
    expected = [*map(os.fsencode, hostile), os.fsencode(hostile[3]), b"\0\xff\n"]
    assert node.text("stdout") == f"{expected}\n"
    outcome = node.outcome()
    assert outcome is not None
    assert (outcome.status, outcome.exit_code, outcome.attempt) == (JobStatus.DONE, 0, 1)


def test_each_task_of_an_array_finds_its_own_work(tmp_path: Path) -> None:
    node = Node(tmp_path, *(Command(["echo", str(number)]) for number in range(12)))
    for task in (11, 3):
        assert node.run(task=task)[0] == 0
        assert node.text("stdout", task) == f"{task}\n"
        assert claimed_by(node.member(task), TERMS) == f"7_{task}"
    journal = [*Journal(node.submission).new_entries()]
    assert journal == [("S", 11, 1), ("E", 11, 1), ("S", 3, 1), ("E", 3, 1)]


def test_what_was_renounced_is_written_anew_and_runs(tmp_path: Path) -> None:
    """A client is killed between the files and the scheduler; the next one hands its jobs over once more."""
    node = Node(tmp_path, Command(["echo", "runs"]))
    assert claim_for_nobody(node.member(), TERMS) is None
    first, node.submission = node.submission, write_submission(tmp_path, node.orders, b"", TERMS)
    assert node.submission != first
    assert claimed_by(node.member(), TERMS) is None, "it is told as one that waits, not as given up"
    assert node.run()[0] == 0
    assert node.text("stdout") == "runs\n"


class Killed(BaseException):
    """Stands for the end of the client: nothing is cleaned up."""


@pytest.mark.parametrize("step", range(1, 11))
def test_a_client_that_is_killed_while_it_writes_loses_nothing_and_runs_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whatever it had written by then, even where the scheduler should have got that after all."""
    (tmp_path / "in").write_bytes(b"once\n")
    ran = tmp_path / "ran"
    work = Command(["sh", "-c", f"cat >> {ran}"], stdin=tmp_path / "in")  # type: ignore[arg-type]
    node = Node(tmp_path / "spool", work, work)
    shutil.rmtree(node.submission)
    left = [step]

    def counted(act: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                raise Killed
            return act(path, *arguments, **named)

        return call

    with monkeypatch.context() as patched:
        for name in ("mkdir", "open", "rename"):
            patched.setattr(os, name, counted(getattr(os, name)))
        with suppress(Killed):  # or, at the end, before the scheduler is asked
            write_submission(node.root, node.orders, b"", TERMS)
    known = memberships(node.root, [order.job_id for order in node.orders], TERMS)
    assert [claim_for_nobody(member, TERMS) for member in known.values()] == [None] * len(known)
    node.submission = write_submission(node.root, node.orders, b"", TERMS)
    assert [node.run("8", task=task)[0] for task in (0, 1)] == [0, 0]
    assert {node.member(number).submission for number in (0, 1)} == {node.submission}
    for submission in list((node.root / "submissions").iterdir()):
        node.submission = submission
        if (submission / "jobs").exists():
            assert [node.run("7", task=task)[0] for task in (0, 1)] == [1, 1]
    assert ran.read_text() == "once\n" * 2


def test_a_job_that_is_not_told_who_it_is_does_not_run(tmp_path: Path) -> None:
    """It claimed its work for nobody in particular; each task of an array took the first one's."""
    node = Node(tmp_path, Command(["true"]), Command(["true"]))
    code, words = node.run(job="", task=0)
    assert (code, "tells a job its id (`job_variable`) is not set" in words) == (1, True)
    code, words = node.run(task=None)
    assert (code, "tells a task its number (`task_variable`) is not set" in words) == (1, True)
    assert not node.member().claim.exists()
    assert node.run(task=0)[0] == 0


def test_what_was_renounced_and_forgotten_does_not_run(tmp_path: Path) -> None:
    """That it has no directory any more is no reason to make one."""
    node = Node(tmp_path, Command(["true"]), Command(["true"]))
    claim_for_nobody(node.member(), TERMS)
    assert not node.directory().exists()
    assert node.run(task=0)[0] == 1
    assert not node.directory().exists()


def test_a_submission_is_few_files_however_many_jobs_it_has(tmp_path: Path) -> None:
    """5,000 directories took 4.9 s of the 5.1 s in which they were handed to Grid Engine."""
    node = Node(tmp_path, *[Command(["true"])] * 2500)
    assert os.listdir(tmp_path / "submissions") == [node.submission.name]
    assert set(os.listdir(node.submission)) == {
        "jobs", "work", "environment", "claims-0", "claims-1", "claims-2"
    }  # fmt: skip
    assert set(os.listdir(tmp_path)) == {"submissions", "programs"}
    node.run(task=2400)
    assert node.member(2400).claim.read_text() == "7 2400 1\n"


def test_several_in_an_allocation_run_one_after_the_other_each_once(tmp_path: Path) -> None:
    """And each in a process of its own, at whose end what waits for that is run, as where it is alone."""
    at_end = "import atexit, os; atexit.register(print, 'at the end of', os.getpid())"
    calls = [Call("builtins:exec", (f"{at_end}; os.environ['LEFT'] = '{n}'",)) for n in range(3)]
    node = Node(tmp_path, *calls, Call("os:getenv", ("LEFT",)), pack=3)
    assert (node.run(task=0), node.run(task=1)) == ((0, ""), (0, ""))
    journal = [*Journal(node.submission).new_entries()]
    assert journal == [entry for n in range(4) for entry in (("S", n, 1), ("E", n, 1))]
    texts = {node.text("stdout", number) for number in range(3)}
    assert len(texts) == 3
    assert all(text.startswith("at the end of ") and text.count("\n") == 1 for text in texts)
    assert [claimed_by(node.member(number), TERMS) for number in (2, 3)] == ["7_0", "7_1"]
    last = node.outcome(3)
    assert last is not None
    assert pickle.loads(last.value) is None


def test_a_call_comes_back(tmp_path: Path) -> None:
    node = Node(tmp_path, Call("operator:add", (19, 23)), Call("operator:truediv", (1, 0)))
    assert node.run(task=0)[0] == 0
    assert node.run(task=1)[0] == 1
    done, failed = node.outcome(0), node.outcome(1)
    assert done is not None
    assert failed is not None
    assert pickle.loads(done.value) == 42
    assert (failed.reason, "ZeroDivisionError" in failed.traceback) == ("exception", True)
    assert "ZeroDivisionError" in node.text("stderr", 1)


def test_what_work_has_used_is_measured_without_accounting(tmp_path: Path) -> None:
    """snakemake-executor-plugin-slurm#147, #337: usage without accounting."""
    spin = "t = __import__('time'); end = t.process_time() + 0.2\nwhile t.process_time() < end: pass\n"
    spin += "open('/dev/null', 'w').write(open('/dev/zero').read(1 << 20))"
    call = Call("subprocess:call", ([sys.executable, "-c", spin],))
    node = Node(tmp_path, Command([sys.executable, "-c", spin]), call)
    for task in (0, 1):
        node.run(task=task)
        outcome = node.outcome(task)
        assert outcome is not None
        assert outcome.cpu_time is not None
        assert outcome.cpu_time >= 0.2
        assert outcome.peak_memory
        assert outcome.read_bytes
        assert outcome.read_bytes >= 1 << 20
        assert outcome.written_bytes
        assert outcome.written_bytes >= 1 << 20
        assert outcome.peak_gpu_memory is None


def test_the_memory_of_gpus_is_measured(tmp_path: Path) -> None:
    modules, gpu = made_up_nvml(tmp_path)
    argv = ["sh", "-c", OCCUPY, "sh", str(gpu), str(3 << 30)]
    for work in (Command(argv), Call("subprocess:call", (argv,))):
        node = Node(tmp_path, work, gpus=1)
        node.run(PYTHONPATH=str(modules))
        outcome = node.outcome()
        assert outcome is not None
        assert (outcome.status, outcome.peak_gpu_memory) == (JobStatus.DONE, 3 << 30)


def test_a_result_that_cannot_be_written_is_the_error_of_its_call(tmp_path: Path) -> None:
    """The part of it that was written was once published."""
    code = "(__import__('resource').setrlimit(1, (1000, -1)), bytes(5000))[1]"  # 1 is RLIMIT_FSIZE
    node = Node(tmp_path, Call("builtins:eval", (code,)), restartable=True)
    assert node.run()[0] == 1
    outcome = node.outcome()
    assert outcome is not None
    assert "could not be written: the limit on the size of files is reached" in outcome.message
    assert not list(node.directory().glob("*.part"))
    node.run(restarts=1)
    assert node.outcome() == outcome, "it has ended"


def test_a_second_copy_ends_itself(tmp_path: Path) -> None:
    """executorlib#412, PR#721: what was submitted twice runs once."""
    node = Node(tmp_path, Command(["sh", "-c", "echo ran"]), Command(["true"]))
    node.run(job="7", task=0)
    code, words = node.run(job="8", task=0)
    assert (code, "claimed by ['7', '0', '1']" in words) == (1, True)
    node.run(job="7", task=1)
    code, words = node.run(job="8", task=0)
    assert (code, "all jobs of" in words) == (1, True)
    assert node.text("stdout") == "ran\n"


def test_who_has_claimed_a_job_is_waited_for(tmp_path: Path) -> None:
    """It is claimed first, and says then by whom: in between it is nobody's who has not done so."""
    node = Node(tmp_path, Command(["true"]))
    claim = node.member().claim
    claim.touch(0o600)
    found: list[str | None] = []
    asking = threading.Thread(
        target=lambda: found.append(claim_for_nobody(node.member(), TERMS)), daemon=True
    )
    asking.start()
    assert claimed_by(node.member(), TERMS) is None
    with claim.open("ab") as stream:
        stream.write(b"7 - 1\n")
    asking.join(30)
    assert found == ["7"]


@pytest.mark.parametrize(
    ("spec", "left"),
    [
        (Call(abs, (-1,)), {"outcome.pkl"}),
        (Call(print, (1,)), {"outcome.pkl", "stdout"}),
        (Command(["true"]), {"outcome.pkl", "stdout"}),
        (Command(["sh", "-c", "echo 1 >&2"]), {"outcome.pkl", "stdout", "stderr"}),
    ],
)
def test_few_files_are_left(tmp_path: Path, spec: Spec, left: set[str]) -> None:
    node = Node(tmp_path, spec, spec)
    node.run(task=0)
    node.run(task=1)
    assert [set(os.listdir(node.directory(number))) for number in (0, 1)] == [left, left]
    assert set(os.listdir(node.submission)) == {"jobs", "claims-0", "journal"}


def test_a_job_that_was_given_up_does_not_start(tmp_path: Path) -> None:
    node = Node(tmp_path, Command(["sh", "-c", "echo ran"]))
    assert claim_for_nobody(node.member(), TERMS) is None
    assert node.run()[0] == 1
    assert not (node.directory() / "stdout").exists()
    assert node.outcome() is None


def test_a_job_that_has_started_is_not_given_up(tmp_path: Path) -> None:
    node = Node(tmp_path, Command(["true"]))
    node.run(job="9")
    assert claim_for_nobody(node.member(), TERMS) == "9"


@pytest.mark.parametrize("restartable", [True, False])
def test_a_later_attempt_runs_only_what_is_restartable(tmp_path: Path, restartable: bool) -> None:
    node = Node(tmp_path, Command(["sh", "-c", "echo ran"]), restartable=restartable)
    node.member().claim.write_text("7 - 1\n")  # and then its node failed
    node.run(restarts=1)
    outcome = node.outcome()
    assert outcome is not None
    assert outcome.attempt == 2
    assert outcome.reason == (None if restartable else "lost")
    assert (node.directory() / "stdout").exists() == restartable


def test_what_each_attempt_wrote_stays_by_itself(tmp_path: Path) -> None:
    """Also of a job that was handed over anew; of one that the scheduler alone has begun there is nothing."""
    program = Command(["sh", "-c", "echo out $ANYJOB_ATTEMPT; [ $ANYJOB_ATTEMPT = 7 ] || kill -9 $$"])
    node = Node(tmp_path, program, restartable=True, ANYJOB_ATTEMPT="4")
    for restarts in (0, 1, 3):
        node.run(restarts=restarts)
    directory = node.directory()
    assert [(directory / f"stdout.{n}").read_text() for n in (4, 5, 6)] == ["out 4\n", "out 5\n", ""]
    assert node.text("stdout") == "out 7\n"
    logs = [logs_of_attempt(directory, n, first=4).get("stdout", "none") for n in (3, 4, 5, 6, 7, 8)]
    assert [Path(path).name for path in logs] == [
        "none",
        "stdout.4",
        "stdout.5",
        "stdout.6",
        "stdout",
        "none",
    ]


def test_an_attempt_after_the_outcome_changes_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path, Command(["sh", "-c", "echo ran"]), restartable=True)
    node.run()
    node.run(restarts=1)
    outcome = node.outcome()
    assert outcome is not None
    assert (outcome.attempt, node.text("stdout")) == (1, "ran\n")


def test_the_walltime_is_kept_and_clean_up_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """executorlib#1049: SIGTERM skipped clean-up."""
    script = "import time\ntry:\n    time.sleep(60)\nfinally:\n    open('cleaned', 'w').close()"
    monkeypatch.chdir(tmp_path)
    node = Node(tmp_path, Call("builtins:exec", (script,)), walltime=4)
    code, _ = node.run()
    outcome = node.outcome()
    assert outcome is not None
    assert (code != 0, outcome.reason) == (True, "walltime")
    assert "of 4 s" in outcome.message
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize(("signal_name", "status"), [("TERM", JobStatus.ERROR), ("USR1", JobStatus.DONE)])
def test_a_program_is_told_that_its_walltime_is_near(
    tmp_path: Path, signal_name: str, status: JobStatus
) -> None:
    """What ends well when it is told is done; what does not has reached its walltime."""
    script = "trap 'echo told; exit 1' TERM; trap 'echo told; exit 0' USR1; while :; do sleep 0.05; done"
    node = Node(tmp_path, Command(["sh", "-c", script]), walltime=60, signal_before=57, signal=signal_name)
    node.run()
    outcome = node.outcome()
    assert outcome is not None
    assert (outcome.status, node.text("stdout")) == (status, "told\n")
    assert outcome.reason == ("walltime" if status is JobStatus.ERROR else None)


class Sum:
    """Adds up what it is given, slowly; what it has it takes into its next attempt."""

    def __init__(self, total: int = 0) -> None:
        self.total = total

    def __call__(self, numbers: list[int]) -> int:
        while numbers:
            self.total += numbers.pop()
            while len(numbers) == 1 and attempt() == 1:
                time.sleep(0.05)
        return self.total

    def checkpoint(self, numbers: list[int]) -> Call:
        return Call(Sum(self.total), (numbers,))


def requeueing(*how: int | str) -> Dialect:
    dialect = Dialect()
    dialect.requeue = how
    return dialect


def test_a_call_goes_on_where_it_was_when_its_walltime_comes(tmp_path: Path) -> None:
    """Issue 19: the same spool, the next attempt, and what `checkpoint` gave."""
    told = tmp_path / "told"
    dialect = requeueing(0, "sh", "-c", f'echo "$1" > {told}', "sh", "$ANYJOB_ATTEMPT")
    node = Node(
        tmp_path,
        Call(Sum(), ([1, 2, 3],)),
        dialect=dialect,
        walltime=60,
        signal_before=56,
        on_walltime="requeue",
    )
    assert node.run() == (0, "")
    assert node.outcome() is None
    assert told.read_text() == "1\n"
    assert node.run(restarts=1) == (0, "")
    outcome = node.outcome()
    assert outcome is not None
    assert (pickle.loads(outcome.value), outcome.attempt) == (6, 2)


def test_a_walltime_that_is_over_is_an_end_where_the_scheduler_refuses_another_attempt(
    tmp_path: Path,
) -> None:
    for number, how in enumerate([(0, "false"), (0, "no-such-program"), (99,)]):
        node = Node(
            tmp_path / str(number),
            Command(["sleep", "60"]),
            dialect=requeueing(*how),
            walltime=0.2,
            on_walltime="requeue",
        )
        code, _ = node.run()
        outcome = node.outcome()
        if how == (99,):
            assert (code, outcome) == (99, None)
        else:
            assert outcome is not None
            assert outcome.reason == "walltime"


def test_what_goes_on_at_its_walltime_is_not_run_again_after_a_failure(tmp_path: Path) -> None:
    node = Node(
        tmp_path, Command(["echo", "ran"]), dialect=requeueing(99), walltime=60, on_walltime="requeue"
    )
    node.run()
    (node.directory() / "outcome.pkl").unlink()  # its node failed before
    node.run(restarts=1)
    outcome = node.outcome()
    assert outcome is not None
    assert (outcome.reason, node.text("stdout")) == ("lost", "ran\n")


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["no-such-program"], 127, "nor anywhere on PATH"),
        (["/etc/passwd"], 126, "Permission denied"),
        (["/nowhere/x"], 127, "'/nowhere/x' is not there"),
    ],
)
def test_a_program_that_cannot_start_says_why(tmp_path: Path, argv: list[str], code: int, words: str) -> None:
    node = Node(tmp_path, Command(argv))
    assert node.run()[0] == code
    outcome = node.outcome()
    assert outcome is not None
    assert (outcome.reason, outcome.exit_code) == ("exit-code", code)
    assert words in outcome.message


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    node = Node(tmp_path, Command(["true"], cwd="/nowhere"))
    node.run()
    outcome = node.outcome()
    assert outcome is not None
    assert "'/nowhere' is not there" in outcome.message


def test_what_the_scheduler_ends_is_left_to_it_to_judge(tmp_path: Path) -> None:
    """dask-jobqueue#640: TERM lets work clean up, and then the verdict is the scheduler's."""
    script = textwrap.dedent("""
        trap 'echo cleaned; exit 0' TERM
        echo started
        while :; do sleep 0.05; done
    """)
    node = Node(tmp_path, Command(["sh", "-c", script]))
    process = node.start()
    stdout = node.directory() / "stdout"
    while not (stdout.exists() and stdout.read_text()):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert node.text("stdout") == "started\ncleaned\n"
    assert node.outcome() is None
    ended, told = read_observed_end(node.directory())
    assert (ended["status"], told) == (JobStatus.DONE, True)


def test_an_end_that_is_announced_before_the_work_starts_is_heard(tmp_path: Path) -> None:
    """Grid Engine's notice came while the job was being read: what was cancelled ran to its end."""
    dialect = Dialect()
    dialect.end_signals = ("USR2",)
    node = Node(tmp_path, Command(["sh", "-c", "echo ran"]), dialect=dialect)
    environment = node.submission / "environment"
    environment.unlink()
    os.mkfifo(environment)  # so that it waits while it reads
    process = node.start()
    with environment.open("wb") as stream:
        process.send_signal(signal.SIGUSR2)
        stream.write(b"V=1\0")
    _, words = process.communicate(timeout=60)
    assert (process.returncode, words) == (1, b"")
    assert not node.directory().exists()


def test_an_end_that_is_announced_while_the_work_is_started_is_heard(tmp_path: Path) -> None:
    """The clock of the walltime replaced that of the time to end in, and the work was not told."""
    dialect = Dialect()
    dialect.end_signals = ("USR2",)
    node = Node(tmp_path, Command(["sleep", "1000"]), dialect=dialect, walltime=500)
    journal = node.submission / "journal"
    os.mkfifo(journal)  # so that it waits when it notes the start
    process = node.start()
    wait_until(node.directory().exists)
    process.send_signal(signal.SIGUSR2)
    with journal.open("rb"):
        process.communicate(timeout=60)
    ended, told = read_observed_end(node.directory())
    assert (ended["reason"], told) == ("signal", True)


def test_a_kill_from_outside_is_left_to_it_too(tmp_path: Path) -> None:
    node = Node(tmp_path, Command(["sh", "-c", "kill -9 $$"]))
    assert node.run()[0] == 137
    assert node.outcome() is None
    ended, told = read_observed_end(node.directory())
    assert (ended["reason"], ended["signal"], told) == ("signal", 9, False)


def test_a_call_that_ends_its_process_is_no_success(tmp_path: Path) -> None:
    node = Node(tmp_path, Call("os:_exit", (0,)))
    node.run()
    outcome = node.outcome()
    assert outcome is not None
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "exit-code")
    assert "ended its process" in outcome.message


def test_what_is_private_is_private_and_variables_go_with_the_last_job(tmp_path: Path) -> None:
    node = Node(tmp_path, Command(["true"]), Command(["true"]))
    environment, work = node.submission / "environment", node.submission / "work"
    assert {path.stat().st_mode & 0o777 for path in (environment, work)} == {0o600}
    assert node.submission.stat().st_mode & 0o777 == 0o700
    node.run(task=0)
    assert environment.exists()
    assert work.exists()
    node.run(task=1)
    assert not environment.exists()
    assert not work.exists()
    ours = [path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts]  # below what is private
    assert {path.stat().st_mode & 0o077 for path in ours} == {0}


@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.floats(allow_nan=False)))
def test_what_is_said_of_an_end_is_read_back(said: dict[str, Any]) -> None:
    assert pickle.loads(launcher.pickled(said)) == said


@pytest.mark.parametrize("size", [0, 1, 10, 11, 101, 2000])
def test_the_length_of_a_journal_is_known(size: int) -> None:
    assert launcher.sum_of_lengths(size) == len("".join(f"E {number} 1\n" for number in range(size)))
