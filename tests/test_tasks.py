"""Jobs of several tasks: each knows its rank, they are one job, and they end together."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running, until

import anyjob
from anyjob import Call, Command, Config, File, Session, Spec, TaskJob
from anyjob.builtin.local.process_table import Snapshot
from anyjob.builtin.local.supervisor.jobs.task_orders import group_program
from anyjob.errors import CommandFailedError, JobRejectedError, SpecError, UnsupportedSpecError
from anyjob.standalone.pmi_server import PmiServer, parse
from anyjob.status import JobStatus

SOURCE = group_program()
FOREVER = "while :; do sleep 0.01; done"
RANK = "import os; rank = int(os.environ['ANYJOB_RANK']); "


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with running(tmp_path_factory.mktemp("local"), slots=4, grace=1.0) as made:
            yield made


# --- the group alone --------------------------------------------------------------------------


class Group:
    """The program that starts tasks, with a directory of its own."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool

    def start(
        self, *argv: str, count: int = 3, grace: float = 30.0, kind: str = "command", **more: Any
    ) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-I", "-S", "-c", SOURCE, str(count), str(grace), kind, *argv]
        environment = {"PATH": os.environ["PATH"], "ANYJOB_SPOOL": str(self.spool), **more.pop("env", {})}
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **more}
        return subprocess.Popen(words, env=environment, start_new_session=True, **streams)

    def run(self, *argv: str, **more: Any) -> tuple[int, list[str]]:
        process = self.start(*argv, **more)
        out, _ = process.communicate(timeout=60)
        return process.returncode, sorted(out.decode(errors="surrogateescape").splitlines())

    @property
    def report(self) -> dict[str, Any] | None:
        path = self.spool / "outcome.pkl"
        found: dict[str, Any] | None = pickle.loads(path.read_bytes()) if path.exists() else None
        return found


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return Group(tmp_path)


def test_each_task_knows_its_rank_and_all_of_them_one_address(group: Group) -> None:
    names = "$ANYJOB_RANK $ANYJOB_TASKS $RANK $WORLD_SIZE $LOCAL_RANK $LOCAL_WORLD_SIZE"
    code, lines = group.run("sh", "-c", f"echo {names} $MASTER_ADDR:$MASTER_PORT")
    assert code == 0
    assert [line.rsplit(" ", 1)[0] for line in lines] == [f"{rank} 3 {rank} 3 {rank} 3" for rank in range(3)]
    (address,) = {line.rsplit(" ", 1)[1] for line in lines}
    host, _, port = address.partition(":")
    assert (host, int(port) > 1023) == ("127.0.0.1", True)
    assert group.report is None


def test_an_address_that_was_given_is_kept(group: Group) -> None:
    given = {"MASTER_ADDR": "10.1.2.3", "MASTER_PORT": "29500", "RANK": "77"}
    _, lines = group.run("sh", "-c", "echo $MASTER_ADDR:$MASTER_PORT $RANK", env=given, count=1)
    assert lines == ["10.1.2.3:29500 0"]


def test_arguments_environment_and_stdin_reach_each_task_byte_for_byte(group: Group, tmp_path: Path) -> None:
    hostile = b"a b$(id)\xff\n'\""
    (tmp_path / "in").write_bytes(b"read \xff\n" * 3)
    program = "import os, sys; print(os.environb[b'V'], sys.argv[1].encode(errors='surrogateescape'), "
    program += "sys.stdin.buffer.read(), 'LC_CTYPE' in os.environ)"
    with open(tmp_path / "in", "rb") as stdin:
        given: dict[str, Any] = {"V": os.fsdecode(hostile), "LC_ALL": "C"}
        code, lines = group.run(sys.executable, "-c", program, os.fsdecode(hostile), stdin=stdin, env=given)
    assert code == 0
    assert len(lines) == 3
    assert all(line.startswith(f"{hostile!r} {hostile!r} ") for line in lines)
    assert all(line.count("read") == 3 for line in lines)


def test_one_fails_and_all_end(group: Group) -> None:
    """Of those that wait for ever, and would not go at TERM, either."""
    script = f"trap '' TERM; [ $ANYJOB_RANK = 1 ] && exit 7; {FOREVER}"
    code, _ = group.run("sh", "-c", script, grace=0.2)
    assert code == 7
    assert group.report is not None
    assert group.report["message"] == "of 3 tasks, that of rank 1 failed: exit code 7"
    assert (group.report["reason"], group.report["exit_code"]) == ("exit-code", 7)


def test_the_others_have_their_grace_to_clean_up(group: Group) -> None:
    script = "trap 'echo cleaned; exit 0' TERM; echo > ready.$ANYJOB_RANK; "
    script += "if [ $ANYJOB_RANK = 0 ]; then until [ -e ready.1 ] && [ -e ready.2 ]; do :; done; exit 3; fi; "
    script += FOREVER
    assert group.run("sh", "-c", script, cwd=group.spool) == (3, ["cleaned", "cleaned"])


def test_a_task_that_a_signal_ends_ends_the_job_by_it(group: Group) -> None:
    code, _ = group.run("sh", "-c", "[ $ANYJOB_RANK = 2 ] && kill -KILL $$; sleep 1000")
    assert code == -signal.SIGKILL
    assert group.report is not None
    assert group.report["message"] == "of 3 tasks, that of rank 2 failed: ended by SIGKILL"
    assert (group.report["reason"], group.report["signal"]) == ("signal", signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_the_signal_that_all_tasks_get_does_not_hide_that_of_the_task(number: int) -> None:
    """It may wait for the program that starts them when these have all ended."""
    code = (
        "import os, signal; from anyjob.standalone.task_group import SIGNALS, end_as\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS); os.kill(os.getpid(), signal.SIGTERM)\n"
        f"end_as({-number})"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -number


@pytest.mark.parametrize(("program", "exit_code"), [("/no/such/program", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_started_is_told(group: Group, program: str, exit_code: int) -> None:
    assert group.run(program)[0] == exit_code
    assert group.report is not None
    said = f"of 3 tasks, that of rank 0 failed: cannot start: {program!r}: "
    assert group.report["message"].startswith(said)


def test_a_signal_to_the_group_alone_ends_all(group: Group) -> None:
    process = group.start("sh", "-c", f"trap 'echo ended; exit 0' TERM; echo ready; {FOREVER}")
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline() == b"ready\n"
    subprocess.run(["kill", "-TERM", str(process.pid)], check=True)
    with process.stdout:
        assert process.stdout.read() == b"ended\n" * 3
    assert process.wait(60) == 0  # as of a program alone
    assert group.report is None


def test_a_group_that_is_told_has_ended_by_that_where_one_of_its_tasks_has(group: Group) -> None:
    code = "trap 'exit $ANYJOB_RANK' TERM; echo ready"
    process = group.start("sh", "-c", f"{code}; {FOREVER}")
    assert process.stdout is not None
    with process.stdout:
        for _ in range(3):
            assert process.stdout.readline() == b"ready\n"
        subprocess.run(["kill", "-TERM", str(process.pid)], check=True)
    assert process.wait(60) == -signal.SIGTERM
    assert group.report is None


def test_a_report_of_an_earlier_attempt_is_not_taken_for_one_of_this(group: Group) -> None:
    for rank in range(3):
        (group.spool / f"task.{rank}").mkdir()
        report = {"status": "DONE", "value": pickle.dumps("old")}
        (group.spool / f"task.{rank}" / "outcome.pkl").write_bytes(pickle.dumps(report))
    assert group.run("true", kind="call")[0] == 0
    assert group.report is not None
    assert (group.report["status"], "left no result" in group.report["message"]) == ("ERROR", True)


# --- PMI: who they are, for MPI ----------------------------------------------------------------

RANK_OF_PMI = """
import os, socket
connection = socket.socket(fileno=int(os.environ["PMI_FD"]))
stream = connection.makefile("rw", newline="\\n")
rank, size = int(os.environ["PMI_RANK"]), int(os.environ["PMI_SIZE"])

def ask(line):
    stream.write(line + "\\n")
    stream.flush()
    return stream.readline().strip()

answers = [ask("cmd=init pmi_version=1 pmi_subversion=1"), ask("cmd=get_my_kvsname")]
answers.append(ask(f"cmd=put kvsname=anyjob key=card-{rank} value=address=of#{rank}"))
answers.append(ask("cmd=barrier_in"))
answers.append(ask(f"cmd=get kvsname=anyjob key=card-{(rank + 1) % size}"))
answers.append(ask("cmd=finalize"))
print(rank, size, *answers, sep="|")
"""


def test_ranks_find_each_other_by_pmi(group: Group) -> None:
    code, lines = group.run(sys.executable, "-c", RANK_OF_PMI)
    assert code == 0
    (space,) = {line.split("|")[3] for line in lines}
    assert re.fullmatch("cmd=my_kvsname kvsname=anyjob-[0-9a-f]{16} rc=0", space)
    for rank, line in enumerate(lines):
        assert line.split("|") == [
            str(rank),
            "3",
            "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0",
            space,
            "cmd=put_result rc=0 msg=success",
            "cmd=barrier_out rc=0",
            f"cmd=get_result rc=0 msg=success value=address=of#{(rank + 1) % 3}",
            "cmd=finalize_ack rc=0",
        ]
    assert len(lines) == 3


def test_one_that_fails_before_the_barrier_ends_those_that_wait_there(group: Group) -> None:
    fails = "import os, sys; os.environ['PMI_RANK'] == '1' and sys.exit(4)\n"
    assert group.run(sys.executable, "-c", fails + RANK_OF_PMI) == (4, [])


def test_an_abort_ends_all(group: Group) -> None:
    aborts = "if rank == 2:\n    stream.write('cmd=abort exitcode=9\\n')\n    stream.flush()\n"
    aborts += "ask('cmd=barrier_in')"
    code, _ = group.run(sys.executable, "-c", RANK_OF_PMI + aborts)
    assert code == 9
    assert group.report is not None
    assert group.report["message"] == "of 3 tasks, that of rank 2 failed: MPI_Abort with exit code 9"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"cmd=get_maxes", b"cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024 rc=0\n"),
        (b"cmd=get_appnum", b"cmd=appnum appnum=0 rc=0\n"),
        (b"cmd=get_universe_size", b"cmd=universe_size size=2 rc=0\n"),
        (b"cmd=get kvsname=anyjob key=nothing", b"cmd=get_result rc=-1 msg=key_not_found value=unknown\n"),
        (
            b"cmd=get kvsname=anyjob key=PMI_process_mapping",
            b"cmd=get_result rc=0 msg=success value=(vector,(0,1,2))\n",
        ),
        (b"cmd=spawn nprocs=2", b"cmd=spawn_result rc=-1 msg=not_supported\n"),
        (b"\xff nonsense", b"cmd=None_result rc=-1 msg=not_supported\n"),
    ],
)
def test_what_a_rank_is_answered(said: bytes, answer: bytes) -> None:
    aborted: list[tuple[int, int]] = []
    server = PmiServer(2, lambda rank, code: aborted.append((rank, code)))
    assert server.answers(1, parse(said)) == [(1, answer)]
    for code in (b"3", b"-1", b""):
        assert server.answers(1, parse(b"cmd=abort exitcode=" + code)) == []
    assert aborted == [(1, 3), (1, 1), (1, 1)]
    for each in (*server._ours, *server._theirs):
        each.close()


# --- commands on `local` ----------------------------------------------------------------------


def test_a_command_is_started_so_many_times_and_is_one_job(local: Local) -> None:
    command = Command(["sh", "-c", "echo $ANYJOB_RANK $ANYJOB_JOB_ID; cat"], stdin=File("x", b"in\n"))
    job = local.backend.run(command, tasks=3)
    result = job.result(60)
    ranks = [f"{rank} {job.job_id()}" for rank in range(3)]
    assert sorted(result.stdout.text().splitlines()) == [*ranks, *["in"] * 3]


def test_the_outcome_names_the_rank_that_failed(local: Local) -> None:
    code = f"{RANK}import sys, time; rank == 2 or time.sleep(1000); print('told', rank, file=sys.stderr); "
    code += "sys.exit(3)"
    job = local.backend.run(Command([sys.executable, "-c", code]), tasks=3)
    outcome = job.outcome(60)
    assert (outcome.status, outcome.reason, outcome.exit_code) == (JobStatus.ERROR, "exit-code", 3)
    assert outcome.message == "of 3 tasks, that of rank 2 failed: exit code 3"
    assert outcome.cpu_time > 0
    with pytest.raises(CommandFailedError, match=r"rank 2 failed(.|\n)*told 2"):
        job.result()


def test_a_cancel_ends_all_tasks_with_what_they_have_started(local: Local) -> None:
    job = local.backend.run(Command(["sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait; wait"]), tasks=2)
    path = job._record.spool / "stdout"
    until(lambda: path.exists() and len(path.read_text().split()) == 2, "both have begun")
    job.cancel()
    assert job.outcome(60).status is JobStatus.CANCELLED
    left = {int(pid) for pid in path.read_text().split()}
    until(lambda: not left & set(Snapshot().processes), "what they have started is gone")


def test_tasks_take_the_slots_of_all_of_them(local: Local) -> None:
    log = local.root / "order"
    note = f"echo $0 >> {log}"
    script = f"{note}; read x < {local.fifo}; {note}-end"
    wide = local.backend.run(Command(["sh", "-c", script, "wide"]), tasks=2, cpus=2)
    until(log.exists, "it runs")
    narrow = local.backend.run(Command(["sh", "-c", note, "narrow"]))
    held = os.open(local.fifo, os.O_RDWR)
    os.write(held, b"go\ngo\n")
    assert narrow.outcome(60).status is JobStatus.DONE
    assert wide.outcome(60).status is JobStatus.DONE
    os.close(held)
    assert log.read_text().split()[-1] == "narrow"


# --- calls on `local` -------------------------------------------------------------------------


def rank() -> int:
    return int(os.environ["ANYJOB_RANK"])


def test_a_call_returns_the_list_by_rank(local: Local) -> None:
    assert local.backend.run(Call(os.getenv, ("ANYJOB_RANK",)), tasks=4).result(60) == ["0", "1", "2", "3"]
    assert local.backend.run(Call(divmod, (17, 5)), tasks=1).result(60) == [(3, 2)]
    large = local.backend.run(Call(bytes.upper, (b"x" * 1_000_000,)), tasks=2)
    assert large.result(60) == [b"X" * 1_000_000] * 2


def test_a_call_with_a_place_of_its_own_has_it_in_each_task(local: Local, tmp_path: Path) -> None:
    made = local.backend.run(Call("os:getcwd", cwd=str(tmp_path), env={"A": "b"}), tasks=2)
    assert made.result(60) == [str(tmp_path)] * 2
    assert local.backend.run(Call("os:getenv", ("A",), env={"A": "b"}), tasks=2).result(60) == ["b", "b"]


def test_what_one_of_the_calls_raises_is_raised(local: Local) -> None:
    def fails_at_one(text: str) -> None:
        import os
        import time

        if os.environ["ANYJOB_RANK"] == "1":
            raise LookupError(text)
        time.sleep(1000)

    job = local.backend.run(Call(fails_at_one, ("here",)), tasks=3)
    with pytest.raises(LookupError, match="here"):
        job.result(60)
    outcome = job.outcome()
    assert outcome.message == "of 3 tasks, that of rank 1 failed: LookupError: here"
    assert "fails_at_one" in outcome.traceback
    assert "fails_at_one" in "".join(job.logs("stderr"))


@pytest.mark.timeout(120)
def test_one_that_has_failed_does_not_wait_for_the_others_at_its_exit(local: Local) -> None:
    """As `MPI_Finalize` does, which mpi4py calls then: all of them stood still for ever."""

    def fails_at_one() -> None:
        import atexit
        import os
        import time

        if os.environ["ANYJOB_RANK"] == "1":
            atexit.register(time.sleep, 1000)
            print("before")
            raise LookupError("here")
        time.sleep(1000)

    job = local.backend.run(Call(fails_at_one), tasks=2)
    with pytest.raises(LookupError, match="here"):
        job.result(60)
    assert "before" in "".join(job.logs())


def test_a_call_that_ends_its_process_is_told(local: Local) -> None:
    outcome = local.backend.run(Call(os._exit, (0,)), tasks=1).outcome(60)
    assert (outcome.status, "left no result" in outcome.message) == (JobStatus.ERROR, True)
    outcome = local.backend.run(Call(os._exit, (5,)), tasks=2).outcome(60)
    assert (outcome.reason, outcome.exit_code) == ("exit-code", 5)


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("tasks", [0, -1, 1.5, "two", True])
def test_tasks_are_a_count(local: Local, tasks: Any) -> None:
    with pytest.raises(SpecError, match="tasks"):
        local.backend.run(Command(["true"]), tasks=tasks)


def test_more_than_there_are_slots_for_are_refused(local: Local) -> None:
    with pytest.raises(JobRejectedError, match="asks for 6 cpus, and there are 4 slots"):
        local.backend.run(Command(["true"]), tasks=3, cpus=2)


@pytest.mark.parametrize("kind", ["inline", "threads", "processes"])
def test_a_backend_that_starts_one_process_for_a_job_refuses(tmp_path: Path, kind: str) -> None:
    with Session(Config.from_dict({}), state=tmp_path) as session:
        backend = session.get_backend(kind)
        with pytest.raises(UnsupportedSpecError, match=f"'{kind}' starts one process for a job.*`local`"):
            backend.run(Call(len, ("x",)), tasks=2)


class Shout(Spec, frozen=True, tag="test.shout"):
    """Text, in capitals."""

    text: str


class ShoutJob(TaskJob):
    """A job type that is a call."""

    spec_type = Shout
    lowers_to = ("python",)

    @classmethod
    def lower(cls, spec: Any, to: str) -> Spec:
        return Call(str.upper, (spec.text,))


def test_a_kind_that_is_rewritten_as_a_call_is_one_process(local: Local) -> None:
    local.session.registry.register_job_type("test.shout", ShoutJob)
    with pytest.raises(UnsupportedSpecError, match=r"kind test\.shout is one process"):
        local.backend.run(Shout("x"), tasks=2)


def test_a_backend_says_whether_it_has_tasks(local: Local) -> None:
    assert local.backend.capabilities.tasks
    assert not anyjob.Capabilities().tasks
