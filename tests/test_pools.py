"""What `inline`, `threads` and `processes` have in common: both kinds of work run on each."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.waiting import wait_for_exit, wait_for_file, wait_until

from anyjob.backend import BackendConfiguration
from anyjob.builtin.inline import InlineBackend
from anyjob.builtin.pool import PoolBackend
from anyjob.builtin.pool_job import PoolJob
from anyjob.builtin.processes import ProcessesBackend
from anyjob.builtin.slot_threads import SlotThreads
from anyjob.builtin.threads import ThreadsBackend
from anyjob.errors import (
    BackendError,
    CommandFailedError,
    ConfigError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    RemoteError,
)
from anyjob.execution import child_program, spawning
from anyjob.job import JobStatus
from anyjob.orders import Order
from anyjob.resources import Resources
from anyjob.specs import Call, Command, File
from anyjob.taskjob import TaskJob

TYPES: dict[str, type[PoolBackend]] = {
    "inline": InlineBackend,
    "threads": ThreadsBackend,
    "processes": ProcessesBackend,
}
SLOTS = {"inline": {}, "threads": {"slots": 2}, "processes": {"slots": 2}}

PATIENCE = 60.0


def make(name: str, **options: Any) -> PoolBackend:
    return TYPES[name].from_options(name, {**SLOTS[name], **options})


@pytest.fixture(params=TYPES)
def pool(request: pytest.FixtureRequest) -> Iterator[PoolBackend]:
    backend = make(request.param)
    yield backend
    backend.close()


@pytest.fixture(params=["threads", "processes"])
def queue(request: pytest.FixtureRequest) -> Iterator[PoolBackend]:
    """A pool of one slot, that does not run work in the caller."""
    backend = make(request.param, slots=1)
    yield backend
    backend.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """KILL comes a tenth of a second after TERM."""
    monkeypatch.setattr(spawning, "GRACE", 0.1)


class Unpicklable(Exception):
    """It cannot be made of its arguments: it does not come back from another process."""

    def __new__(cls, *arguments: Any) -> Unpicklable:
        if len(arguments) != 2:
            raise TypeError("two arguments")
        return super().__new__(cls)

    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} and {right}")


def fail(kind: str = "value") -> None:
    if kind == "unpicklable":
        raise Unpicklable(1, 2)
    if kind == "exit":
        sys.exit(4)
    if kind == "module":
        import no_such_module  # type: ignore[import-not-found] # noqa: F401
    raise ValueError("oh dear")


def shell(script: str, *arguments: str, **more: Any) -> Command:
    return Command(["sh", "-c", script, "sh", *arguments], **more)


# --- calls ----------------------------------------------------------------------------------------


def test_a_call_gives_what_it_returns(pool: PoolBackend) -> None:
    job = pool.run(Call(sorted, ([3, 1, 2],), {"reverse": True}), name="sort")
    assert job.result() == [3, 2, 1]
    assert job.done()
    assert job.exception() is None
    outcome = job.outcome()
    assert outcome.status is JobStatus.DONE
    assert outcome.host == os.uname().nodename
    assert (outcome.started or 0) <= (outcome.finished or 0)


def test_a_function_is_named_by_module_and_name(pool: PoolBackend) -> None:
    assert pool.run(Call("os.path:join", ("a", "b"))).result() == "a/b"
    assert pool.run(Call("pathlib:Path.cwd")).result() == Path.cwd()


def test_a_closure_is_a_call(pool: PoolBackend) -> None:
    factor = 7
    assert [job.result() for job in pool.map(lambda x: factor * x, range(3))] == [0, 7, 14]


def test_map_and_run_many_keep_their_order(pool: PoolBackend) -> None:
    jobs = pool.map(pow, range(20), [2] * 20, name="squares")
    assert [job.spec().args[0] for job in jobs] == list(range(20))
    assert [job.result() for job in jobs] == [n * n for n in range(20)]
    assert {job.metadata()["name"] for job in jobs} == {"squares"}


def test_each_result_is_a_fresh_copy(pool: PoolBackend) -> None:
    """ibmq-provider#466, qiskit-ibm-runtime#1691, #1205, azure-quantum-python#323."""
    job: TaskJob[list[str]] = pool.run(Call(list, ("ab",)))
    job.result().append("c")
    assert job.result() == ["a", "b"]


def test_the_original_exception_comes_back(pool: PoolBackend) -> None:
    """ibmq-provider#390, submitit PR#1715: the original exception, with the remote traceback."""
    job = pool.run(Call(fail))
    with pytest.raises(ValueError, match=r"^oh dear$") as caught:
        job.result()
    assert job.outcome().reason == "exception"
    assert isinstance(job.exception(), ValueError)
    if isinstance(pool, ProcessesBackend):
        cause = caught.value.__cause__
        assert isinstance(cause, RemoteError)
        assert "in fail\n" in cause.traceback
        assert "runner.py" not in cause.traceback
        assert cause.reason == "exception"
        assert job.exception() is not job.exception()
    assert job.status() is JobStatus.ERROR


def test_an_exception_that_does_not_survive_comes_back_as_text(pool: PoolBackend) -> None:
    job = pool.run(Call(fail, ("unpicklable",)))
    if not isinstance(pool, ProcessesBackend):
        assert isinstance(job.exception(), Unpicklable)
        return
    with pytest.raises(RemoteError, match="Unpicklable: 1 and 2") as caught:
        job.result()
    assert "in fail\n" in caught.value.traceback
    assert caught.value.reason == "exception"


def test_a_call_that_leaves_by_exit_fails_alone(pool: PoolBackend) -> None:
    job, neighbour = pool.run(Call(fail, ("exit",))), pool.run(Call(len, ("abc",)))
    with pytest.raises(RemoteError, match=r"sys\.exit\(4\)") as caught:
        job.result()
    assert caught.value.reason == "exit-code"
    assert job.outcome().exit_code == 4
    assert neighbour.result() == 3


def test_a_module_that_is_missing_is_named_with_the_interpreter(pool: PoolBackend) -> None:
    for call in (Call("no_such_module:f"), Call(fail, ("module",))):
        job = pool.run(call)
        assert isinstance(job.exception(), (RemoteError, ModuleNotFoundError))
        outcome = job.outcome()
        assert outcome.reason == "missing-module"
        assert "'no_such_module' is not installed" in outcome.message
        assert sys.executable in outcome.message


def test_a_name_that_a_module_does_not_have_is_told(pool: PoolBackend) -> None:
    with pytest.raises(AttributeError, match="no_such_function"):
        pool.run(Call("os.path:no_such_function")).result()


# --- commands -------------------------------------------------------------------------------------


def test_a_command_gives_code_and_output(pool: PoolBackend) -> None:
    result = pool.run(shell("echo out; echo err >&2")).result()
    assert result.exit_code == 0
    assert result.stdout.text() == "out\n"
    assert result.stderr.bytes() == b"err\n"
    assert list(result.stdout) == ["out\n"]
    assert result.stdout.path is not None
    assert result.stdout.path.read_text() == "out\n"
    assert result.stdout.path.stat().st_mode & 0o777 == 0o600
    assert (result.outcome.peak_memory or 0) > 100_000
    assert "exit_code=0" in repr(result)


def test_a_command_that_fails_says_code_and_end_of_stderr(pool: PoolBackend) -> None:
    """ibmq-provider#390, submitit PR#1715: poor failure messages."""
    job = pool.run(shell("seq 100000 >&2; echo no space left >&2; exit 7"))
    with pytest.raises(CommandFailedError, match=r"exit code 7(.|\n)*no space left") as caught:
        job.result()
    assert (caught.value.exit_code, caught.value.reason) == (7, "exit-code")
    assert len(caught.value.stderr) == 4000
    assert caught.value.stderr.endswith("\n100000\nno space left\n")


def test_a_command_that_is_killed_says_so(pool: PoolBackend) -> None:
    job = pool.run(shell("kill -9 $$"))
    with pytest.raises(JobFailedError, match="SIGKILL") as caught:
        job.result()
    assert caught.value.reason == "signal"
    assert job.outcome().signal == signal.SIGKILL


def test_a_command_that_cannot_start_says_why(pool: PoolBackend, tmp_path: Path) -> None:
    plain, headed = tmp_path / "plain", tmp_path / "headed"
    plain.write_text("x")
    headed.write_text("#!/no/such/interpreter\n")
    headed.chmod(0o700)
    for command, code, says in (
        (Command(["no-such-program"]), 127, "'no-such-program' is not there, nor anywhere on PATH"),
        (Command(["/no/such/program"]), 127, "'/no/such/program' is not there$"),
        (Command([str(plain)]), 126, "Permission denied"),
        (Command([str(headed)]), 127, "the interpreter that the first line of .* names is not there"),
        (Command(["true"], cwd="/no/such/place"), 126, "its directory '/no/such/place' is not there"),
    ):
        with pytest.raises(CommandFailedError, match=rf"cannot start: .*{says}") as caught:
            pool.run(command).result()
        assert caught.value.exit_code == code


def test_a_command_reads_nothing_unless_it_is_given_something(pool: PoolBackend, tmp_path: Path) -> None:
    assert pool.run(Command(["cat"])).result().stdout.bytes() == b""
    source = tmp_path / "in"
    source.write_bytes(b"\0\xff\n")
    assert pool.run(Command(["cat"], stdin=source)).result().stdout.bytes() == b"\0\xff\n"  # type: ignore[arg-type]


def test_files_are_laid_into_the_directory_of_the_job(pool: PoolBackend) -> None:
    job = pool.run(
        shell('cat "$ANYJOB_SPOOL/files/a b"; stat -c %a "$ANYJOB_SPOOL/files/a b"; echo "$ANYJOB_JOB_ID"',
              files={"a b": File("x", b"laid\n")})
    )  # fmt: skip
    assert job.result().stdout.text() == f"laid\n600\n{job.job_id()}\n"


def test_work_runs_where_it_was_submitted(
    queue: PoolBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    first = queue.run(shell('while [ ! -e "$1" ]; do sleep 0.01; done', str(go)))
    monkeypatch.chdir(tmp_path)
    jobs: list[TaskJob[Any]] = [queue.run(Command(["pwd"])), queue.run(Call(os.getcwd))]
    monkeypatch.chdir("/")
    go.touch()
    assert first.result().exit_code == 0
    assert jobs[0].result().stdout.text() == f"{tmp_path}\n"
    if queue.name() == "processes":
        assert jobs[1].result() == str(tmp_path)


@pytest.fixture(scope="module")
def three() -> Iterator[list[PoolBackend]]:
    backends = [make(name) for name in TYPES]
    yield backends
    for backend in backends:
        backend.close()


HOSTILE = [b"", b" ", b"a  b", b"$(echo hi)", b"`echo hi`", b"$HOME", b"'", b'"', b"\n", b"a\nb\n", b"\\",
           b"*", b"~", b"-n", b"--", b";rm x", b"\xff\xfe", b"\xed\xa0\x80", "ü€😀".encode(), b"%s", b"\r",
           b"\x1b[31m", b"!!", b"#"]  # fmt: skip


SHOW = """
import os, sys
given = [os.fsencode(text) for text in sys.argv[1:]]
print((given, [os.environb[b"V%d" % number] for number in range(len(given))], os.getcwdb()))
"""


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\0", b"")), min_size=1, max_size=4))
@example(HOSTILE)
@settings(max_examples=15)
def test_arguments_environment_and_paths_arrive_byte_for_byte(
    three: list[PoolBackend], texts: list[bytes]
) -> None:
    """psij-python#423: values with blanks or `$(…)` were mangled or executed."""
    with tempfile.TemporaryDirectory() as home:
        place = os.path.join(os.fsencode(home), b"p" + texts[0].replace(b"/", b"_"))
        os.makedirs(place)
        env = {f"V{number}": text for number, text in enumerate(texts)}
        command = Command([sys.executable, "-SEc", SHOW, *texts], env=env, cwd=place)  # type: ignore[list-item, arg-type]
        expected = repr((texts, texts, place)) + "\n"
        for backend in three:
            assert backend.run(command).result().stdout.text() == expected


# --- logs -----------------------------------------------------------------------------------------


def test_logs_can_be_followed_while_the_work_runs(queue: PoolBackend, tmp_path: Path) -> None:
    go = tmp_path / "go"
    job = queue.run(
        shell('echo one; echo bad >&2; while [ ! -e "$1" ]; do sleep 0.01; done; printf two', str(go))
    )
    lines = job.logs(follow=True)
    assert next(lines) == "one\n"
    assert job.running()
    assert list(job.logs()) == ["one\n"]  # what there is now
    go.touch()
    assert list(lines) == ["two"]
    assert list(job.logs("stderr", follow=True)) == ["bad\n"]
    assert list(job.logs()) == ["one\n", "two"]  # and afterwards


def test_much_output_is_streamed_and_not_held(queue: PoolBackend) -> None:
    """200 MB go through a file; neither the wait nor reading them line by line holds them."""
    import tracemalloc

    lines = 200_000
    job = queue.run(shell(f"yes {'x' * 1000} | head -n {lines}"))
    tracemalloc.start()
    try:
        job.wait_for_final_state()
        size = sum(len(chunk) for chunk in job.log_bytes())
        first = next(iter(job.result().stdout))
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == lines * 1001
    assert first == "x" * 1000 + "\n"
    assert held < 16 << 20


def test_the_output_goes_when_nobody_holds_the_job(pool: PoolBackend) -> None:
    job = pool.run(shell("echo out"))
    path = job.result().stdout.path
    assert path is not None
    assert path.exists()
    del job
    assert not path.parent.exists()


def test_what_calls_wrote_goes_when_nobody_holds_the_job() -> None:
    """The space is given back job by job, whatever jobs of the same worker are still held."""
    backend = ProcessesBackend.from_options("processes", {"slots": 1})
    held = backend.run(Call(print, ("held",)))
    held.result()
    for _ in range(20):
        backend.run(Call(print, ("x" * 100_000,))).result()
    directory = backend._temporary_directory()
    wait_until(lambda: sum(path.stat().st_size for path in directory.iterdir()) < 300_000, timeout=20)
    assert [*held.logs()] == ["held\n"]
    backend.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_fails_that_job_alone(pool: PoolBackend) -> None:
    full = pool.run(Command(["sh", "-c", "exec echo hello > /dev/full"]))
    with pytest.raises(CommandFailedError, match="No space left on device"):
        full.result()
    assert pool.run(Call(len, ("abc",))).result() == 3


def test_output_that_cannot_be_written_fails_that_job_alone(
    pool: PoolBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full when the job's directory is made."""

    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(spawning, "write_files", full)
        job = pool.run(Command(["true"], files={"a": File("a", b"x")}))
        with pytest.raises(JobFailedError, match="No space left on device"):
            job.result()
    assert pool.run(Command(["true"])).result().exit_code == 0


# --- slots and cancelling -------------------------------------------------------------------------


def test_work_that_is_submitted_while_all_slots_are_busy_runs_as_they_free(
    queue: PoolBackend, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    first = queue.run(shell('while [ ! -e "$1" ]; do sleep 0.01; done', str(go)))
    later = [queue.run(Call(abs, (-3,))), *queue.map(abs, [-4, -5])]
    wait_until(first.running)
    assert [job.status() for job in later] == [JobStatus.QUEUED] * 3
    go.touch()
    assert [job.result() for job in later] == [3, 4, 5]


def test_slots_run_at_the_same_time(tmp_path: Path) -> None:
    for name in ("threads", "processes"):
        backend = make(name, slots=2)
        meet = 'touch "$1/$2"; while [ ! -e "$1/$3" ]; do sleep 0.01; done'
        jobs = [
            backend.run(shell(meet, str(tmp_path), *pair))
            for pair in ((name, name + "2"), (name + "2", name))
        ]
        assert [job.result().exit_code for job in jobs] == [0, 0]
        backend.close()


def test_a_queued_job_is_cancelled_and_never_runs(queue: PoolBackend, tmp_path: Path) -> None:
    """qiskit-jku-provider#26, qiskit#638: cancel did nothing, or did not say."""
    go, ran = tmp_path / "go", tmp_path / "ran"
    first = queue.run(shell('while [ ! -e "$1" ]; do sleep 0.01; done', str(go)))
    jobs = [queue.run(Command(["touch", str(ran)])), queue.run(Call(ran.touch))]
    assert queue.cancel_many(jobs) == [True, True]
    assert [job.cancelled() for job in jobs] == [True, True]
    assert jobs[0].cancel() is False  # it has ended
    go.touch()
    assert first.result().exit_code == 0
    assert first.cancel() is False
    for job in jobs:
        with pytest.raises(JobCancelledError, match=f"job {job.job_id()} was cancelled"):
            job.result()
    assert queue.run(Call(len, ("abc",))).result() == 3
    assert not ran.exists()


def test_cancelling_a_running_command_ends_its_process_tree(queue: PoolBackend, tmp_path: Path) -> None:
    """qiskit-jku-provider#26, qiskit#638: the process tree ends, what has left its group too."""
    pids = tmp_path / "pids"
    job = queue.run(
        shell('sleep 100 & echo $! >>"$1.new"; setsid sleep 100 & echo $! >>"$1.new"; echo $$ >>"$1.new"; '
              'mv "$1.new" "$1"; wait', str(pids))
    )  # fmt: skip
    running = [int(pid) for pid in wait_for_file(pids).split()]
    assert job.cancel() is True
    job.wait_for_final_state(20)
    assert job.cancelled()
    wait_for_exit(*running)
    assert len(running) == 3


def test_a_cancelled_command_may_clean_up(queue: PoolBackend, tmp_path: Path) -> None:
    """dask-jobqueue#640, executorlib#1049: SIGTERM skipped the clean-up."""
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"
    script = 'trap "echo cleaned > $2; exit 0" TERM; echo x > "$1"; while :; do sleep 0.01; done'
    job = queue.run(shell(script, str(ready), str(cleaned)))
    wait_for_file(ready)
    assert job.cancel()
    with pytest.raises(JobCancelledError):
        job.result(timeout=20)
    assert cleaned.read_text() == "cleaned\n"


@pytest.mark.usefixtures("hasty")
def test_a_command_that_ignores_term_is_killed(queue: PoolBackend, tmp_path: Path) -> None:
    """dask-jobqueue#640: TERM, grace, KILL."""
    ready = tmp_path / "ready"
    job = queue.run(shell('trap "" TERM; echo $$ > "$1"; while :; do sleep 0.01; done', str(ready)))
    pid = int(wait_for_file(ready))
    assert job.cancel()
    job.wait_for_final_state(20)
    assert job.outcome().signal == signal.SIGKILL
    wait_for_exit(pid)


def test_a_command_that_runs_longer_than_its_walltime_is_ended(pool: PoolBackend) -> None:
    job = pool.run(Command(["sleep", "100"]), walltime=0.05)
    with pytest.raises(JobFailedError, match=r"longer than the 0\.05 s that were asked for") as caught:
        job.result(timeout=20)
    assert caught.value.reason == "walltime"


# --- handles --------------------------------------------------------------------------------------


def test_handles_compare_hash_and_pickle(pool: PoolBackend) -> None:
    """qiskit-aer#240, qiskit#6978: save jobs, pickle handles."""
    job, other = pool.map(len, ["a", "b"])
    again = pickle.loads(pickle.dumps(job))
    assert again == job
    assert hash(again) == hash(job)
    assert job != other
    assert again.result() == 1
    assert f"({job.job_id()!r}, DONE, len('a')) on {pool.name()}>" in repr(again)


def test_the_handle_on_a_job_of_another_process_is_not_found(pool: PoolBackend) -> None:
    job = pool.run(Call(len, ("a",)))
    job.result()
    function, arguments = job.__reduce__()
    with pytest.raises(JobNotFoundError, match=r"is not known in this process: backend .* is not durable"):
        function("0" * 20, *arguments[1:])
    blob = pickle.dumps(job)
    del job
    with pytest.raises(JobNotFoundError, match="nobody there holds a handle"):
        pickle.loads(blob)


def test_nothing_is_kept_of_jobs_that_nobody_holds(pool: PoolBackend) -> None:
    """qiskit-ibm-runtime#1691, #1205: cached results filled memory."""
    for job in [*pool.map(print, ["x"] * 5), pool.run(Command(["true"])), pool.run(Call(fail))]:
        job.wait_for_final_state(20)
    del job
    wait_until(lambda: not pool._jobs and not pool._logs and not pool._tracker.open_ids())
    wait_until(lambda: pool.jobs() == [])


# --- the end --------------------------------------------------------------------------------------


def test_a_closed_pool_cancels_what_has_not_ended(queue: PoolBackend, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    running = queue.run(shell('echo $$ > "$1"; sleep 100', str(ready)))
    queued = queue.run(Call(len, ("a",)))
    pid = int(wait_for_file(ready))
    assert running._record.spool is not None
    home = running._record.spool.parent
    before = threading.active_count()
    queue.close()
    queue.close()
    assert running.cancelled()
    assert queued.cancelled()
    wait_for_exit(pid)
    assert not home.exists()
    assert threading.active_count() < before


def test_a_closed_pool_takes_no_work(pool: PoolBackend) -> None:
    pool.close()
    for spec in (Call(len, ("a",)), Command(["true"])):
        with pytest.raises(BackendError, match="was closed"):
            pool.run(spec)
    assert pool.jobs() == []


@pytest.mark.parametrize("name", ["threads", "processes"])
@pytest.mark.parametrize("slots", [0, -1, "many"])
def test_slots_that_make_no_sense_are_refused(name: str, slots: Any) -> None:
    with pytest.raises(ConfigError, match="slots"):
        make(name, slots=slots)


@pytest.mark.parametrize("name", TYPES)
def test_a_pool_can_be_made_directly(name: str) -> None:
    backend = TYPES[name](BackendConfiguration("mine"))
    assert backend.slots >= 1
    assert backend.run(Call(len, ("abc",))).result() == 3
    assert repr(backend) == f"<{TYPES[name].__name__}('mine')>"
    backend.close()


# --- in this process ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inline", "threads"])
def test_what_cannot_be_pickled_stays_in_this_process(name: str) -> None:
    backend, lock = make(name), threading.Lock()
    assert backend.run(Call(lambda: lock)).result() is lock
    assert backend.run(Call(id, (lock,))).result() == id(lock)
    backend.close()


def test_inline_runs_in_the_thread_of_the_caller() -> None:
    backend = make("inline")
    ran: list[int] = []
    job = backend.run(Call(lambda: ran.append(threading.get_ident())))
    assert ran == [threading.get_ident()]  # before run() returns
    assert job.done()
    backend.close()


def test_ctrl_c_in_inline_work_interrupts_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = make("inline")
    ran: list[int] = []

    def interrupt(number: int) -> None:
        ran.append(number)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        backend.map(interrupt, [1, 2])
    assert ran == [1]

    def interrupted(process: Any) -> None:
        wait_for_file(tmp_path / "ready")
        raise KeyboardInterrupt

    monkeypatch.setattr(child_program.Program, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend.run(shell('echo $$ > "$1"; sleep 100', str(tmp_path / "ready")))
    wait_for_exit(int((tmp_path / "ready").read_text()))
    assert backend.jobs() == []
    backend.close()


def test_threads_that_are_not_needed_any_more_end() -> None:
    """While one tells of the end of its job, another has its slot; then no more wait than there are slots."""
    told, go = threading.Semaphore(0), threading.Event()

    def tell(job: PoolJob) -> None:
        told.release()
        go.wait(PATIENCE)

    call = Call(len, ("a",))
    threads = SlotThreads(2, lambda job: None, tell, "slot")
    for _ in range(20):
        threads.put(PoolJob(Order(job_id="0" * 20, spec=call, resources=Resources(), environment={})))
    for _ in range(20):
        assert told.acquire(timeout=PATIENCE)
    assert len(threads._threads) >= 20
    go.set()
    wait_until(lambda: len(threads._threads) <= 2, "threads that end")
    threads.stop(PATIENCE)


def test_a_running_thread_cannot_be_cancelled_and_says_so() -> None:
    backend = make("threads", slots=1)
    started, go = threading.Event(), threading.Event()

    def wait() -> str:
        started.set()
        assert go.wait(20)
        return "done"

    job = backend.run(Call(wait))
    assert started.wait(20)
    assert job.cancel() is False
    go.set()
    assert job.result() == "done"
    backend.close()


def test_to_be_asked_what_came_of_work_that_runs_does_not_lose_it() -> None:
    backend = make("threads", slots=1)
    job = backend.run(Command(["sleep", "60"]))
    wait_until(job.running)
    assert backend.collect([job._record.ticket()]) == {}
    assert job.cancel()
    assert job.outcome(20).status is JobStatus.CANCELLED
    backend.close()


# --- exceptions --------------------------------------------------------------------------------------


class Detailed(Exception):
    """Its constructor takes other things than it leaves in ``args``."""

    def __init__(self, code: int, *, lock: Any = None) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.lock = lock


def raise_http_error() -> None:
    raise HTTPError("http://example.org/", 404, "Not Found", Message(), None)


def raise_detailed() -> None:
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise Detailed(7, lock=threading.Lock()) from error


def raise_group() -> None:
    raise ExceptionGroup("several", [Detailed(1), ValueError("two")])


def test_classes_with_constructors_of_their_own_are_caught_as_such(pool: PoolBackend) -> None:
    """`except HTTPError` catches what a call raises, wherever it runs."""
    with pytest.raises(HTTPError, match="404: Not Found") as http:
        pool.run(Call(raise_http_error)).result()
    assert (http.value.code, http.value.filename) == (404, "http://example.org/")
    with pytest.raises(Detailed, match=r"^code 7$") as detailed:
        pool.run(Call(raise_detailed)).result()
    assert detailed.value.code == 7
    with pytest.raises(ExceptionGroup) as group:
        pool.run(Call(raise_group)).result()
    assert [str(error) for error in group.value.exceptions] == ["code 1", "two"]


@pytest.mark.parametrize("kind", ["inline", "threads"])
def test_an_exception_of_this_process_is_itself(kind: str) -> None:
    """With its cause, and the frames of the user's code; raised twice, it is no longer."""
    pool = make(kind)
    job = pool.run(Call(raise_detailed))
    lengths = []
    for _ in range(2):
        with pytest.raises(Detailed) as caught:
            job.result()
        names = [entry.name for entry in caught.traceback]
        assert names[-1] == "raise_detailed"
        lengths.append(len(names))
        assert isinstance(caught.value.__cause__, KeyError)
    assert lengths[0] == lengths[1]
    pool.close()
