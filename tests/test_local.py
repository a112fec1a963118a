"""What becomes of jobs on the `local` backend."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from running_local import SOURCE, TESTS, Local, running, until

import anyjob
from anyjob import Call, Command
from anyjob.errors import JobCancelledError, JobFailedError, JobRejectedError
from anyjob.job import JobStatus
from anyjob.outcome import USAGE
from anyjob.specs import File

TREE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()  # out of the job's session, as daemons go
    if os.fork() == 0:
        os.setsid()
os.write(1, b"%d\\n" % os.getpid())  # at once: what is printed may come in two pieces
time.sleep(1000)
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with running(tmp_path_factory.mktemp("local")) as made:
            yield made


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path) as made:
        yield made


def running_now(job: Any) -> None:
    until(job.running, f"{job!r} runs")


# --- what a job gets ----------------------------------------------------------------------------


def test_a_command_gets_arguments_and_variables_byte_for_byte(local: Local) -> None:
    """psij-python#423: nothing is interpolated, and bytes that are not UTF-8 arrive."""
    strange: Any = b"a b\t$(touch x) `y` '\"\\ \xff\xfe\n*"
    code = "import os,sys; sys.stdout.buffer.write(os.fsencode(sys.argv[1]) + b'|' + os.environb[b'STRANGE'])"
    job = local.backend.run(Command([sys.executable, "-c", code, strange], env={"STRANGE": strange}))
    assert job.result(30).stdout.bytes() == strange + b"|" + strange


def test_a_command_gets_directory_stdin_and_files(local: Local, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"read me \xff")
    script = 'pwd; cat; cat "$ANYJOB_SPOOL/files/a"; echo err >&2'
    spec = Command(
        ["sh", "-c", script],
        cwd=str(tmp_path),
        stdin=File(str(tmp_path / "in")),
        files={"a": File(str(tmp_path / "in"))},
    )
    result = local.backend.run(spec).result(30)
    assert result.stdout.bytes() == os.fsencode(tmp_path) + b"\nread me \xffread me \xff"
    assert result.stderr.text() == "err\n"


def test_jobs_run_where_and_as_the_process_that_submits(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.backend.run(Call(os.getpid)).result(30)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONLY_NOW", "yes")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "only_here.py").write_text(
        "def where():\n    import os\n    return os.getcwd(), os.environ['ONLY_NOW']\n"
    )
    from only_here import where  # type: ignore[import-not-found]

    assert local.backend.run(Call(where)).result(30) == (str(tmp_path), "yes")
    printed = local.backend.run(Command(["sh", "-c", "pwd; echo $ONLY_NOW"])).result(30).stdout.text()
    assert printed == f"{tmp_path}\nyes\n"


def test_two_virtual_environments_at_once(local: Local, tmp_path: Path) -> None:
    """A call runs with the interpreter and packages of its submitter, whichever started the keeper."""
    python = tmp_path / "venv" / "bin" / "python"
    venv.create(tmp_path / "venv", symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")}))
    (site / "ours.pth").write_text("\n".join([str(SOURCE), str(TESTS), sysconfig.get_path("purelib")]))
    (site / "only_in_venv.py").write_text("import sys\ndef executable():\n    return sys.executable\n")
    here = local.backend.run(Call(time.sleep, (0.5,)))
    code = "from only_in_venv import executable; from anyjob import Call\n"
    code += "print(local.backend.run(Call(executable)).result(30))"
    with local.program(code, python=str(python), PYTHONPATH="") as other:
        out, err = other.communicate(timeout=60)
    assert out.strip() == str(python), err
    assert here.result(30) is None
    assert local.backend.run(Call(_executable)).result(30) == sys.executable


def _executable() -> str:
    return sys.executable


def test_preload_imports_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.syspath_prepend(str(tmp_path))
    log = tmp_path / "log"
    (tmp_path / "slow_to_import.py").write_text(f"open({str(log)!r}, 'a').write('x')\n")
    with running(tmp_path, preload=["slow_to_import"]) as local:
        jobs = local.backend.map(_has_module, ["slow_to_import"] * 5)
        assert [job.result(30) for job in jobs] == [True] * 5
    assert log.read_text() == "x"


def _has_module(name: str) -> bool:
    return name in sys.modules


def test_variables_of_plugins_reach_the_job_and_go_with_it(
    own: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(own.session.services), "environment", lambda *_: {"FROM_PLUGIN": "secret"}, raising=True
    )
    command = own.backend.run(Command(["sh", "-c", "echo $FROM_PLUGIN"]))
    call = own.backend.run(Call(os.getenv, ("FROM_PLUGIN",)))
    assert command.result(30).stdout.text() == "secret\n"
    assert call.result(30) == "secret"
    files = [job._record.spool / "environment" for job in (command, call)]
    until(lambda: not any(file.exists() for file in files), "they are gone")


# --- what came of it ----------------------------------------------------------------------------


def test_the_outcome_of_a_command(local: Local) -> None:
    before = time.time()
    code = "x = bytearray(50_000_000); import sys; print(3); sys.exit(3)"
    job = local.backend.run(Command([sys.executable, "-c", code]))
    outcome = job.outcome(30)
    assert (outcome.status, outcome.reason, outcome.exit_code) == (JobStatus.ERROR, "exit-code", 3)
    used = {name: getattr(outcome, name) for name in USAGE if name != "peak_gpu_memory"}
    assert all(used.values())
    assert used.items() <= job.metadata().items()
    assert before <= outcome.started <= outcome.finished <= time.time()
    assert 50_000_000 < outcome.peak_memory < 500_000_000
    assert outcome.host == os.uname().nodename
    killed = local.backend.run(Command(["sh", "-c", "kill -9 $$"])).outcome(30)
    assert (killed.reason, killed.signal, killed.exit_code) == ("signal", 9, None)


def test_the_outcome_of_a_call(local: Local) -> None:
    """executorlib#1057 and others: the original exception comes back, with the remote traceback."""
    job = local.backend.run(Call(int, ("x",)))
    with pytest.raises(ValueError, match="invalid literal"):
        job.result(30)
    outcome = job.outcome(30)
    assert outcome.peak_memory > 1_000_000
    assert outcome.cpu_time > 0
    assert outcome.written_bytes > 0
    assert outcome.host == os.uname().nodename
    gone = local.backend.run(Call(os._exit, (5,))).outcome(30)
    assert (gone.status, gone.reason, gone.exit_code) == (JobStatus.ERROR, "exit-code", 5)


def test_large_payloads_and_results(local: Local) -> None:
    blob = os.urandom(3 << 20)
    job = local.backend.run(Call(bytes.upper, (blob,)))
    assert job.result(30) == blob.upper()
    assert local.another().get_job(job.job_id()).result(30) == blob.upper()
    command = local.backend.run(Command(["wc", "-c"], stdin=File("in", blob)))
    assert command.result(30).stdout.text().strip() == str(len(blob))


def test_a_job_that_prints_much_costs_nobody_memory(local: Local) -> None:
    """A gigabyte goes straight to the spool: here 200 MB."""
    job = local.backend.run(Command(["head", "-c", "200000000", "/dev/zero"]))
    assert job.result(60).stdout.path.stat().st_size == 200_000_000
    for pid in (local.supervisor, local.keeper, os.getpid()):
        assert psutil.Process(pid).memory_info().rss < 190_000_000
    os.truncate(job.result(1).stdout.path, 0)


def test_a_torn_outcome_is_no_result(own: Local) -> None:
    job = own.backend.run(Call(_leave_torn_outcome))
    assert (job.outcome(30).status, job.outcome().reason) == (JobStatus.ERROR, "exit-code")
    assert own.backend.run(Call(abs, (-1,))).result(30) == 1, own.errors()


def _leave_torn_outcome() -> None:
    Path(os.environ["ANYJOB_SPOOL"], "outcome.pkl").write_bytes(b"\x80\x05\x95\xff")
    os._exit(0)


# --- the end of jobs ----------------------------------------------------------------------------


def test_cancel_of_queued_running_and_ended(local: Local) -> None:
    """qiskit-jku-provider#26, qiskit#638: it says whether it was accepted, and the process ends."""
    ended = local.backend.run(Command(["true"]))
    ended.result(30)
    runs = local.backend.run_many([Command(["sleep", "1000"])] * 2)
    waits = local.backend.run_many([Command(["sleep", "1000"])] * 3)
    for job in runs:
        running_now(job)
    assert local.session.cancel([ended, *runs, *waits]) == [False, *[True] * 5]
    assert [job.outcome(30).status for job in [*runs, *waits]] == [JobStatus.CANCELLED] * 5
    assert runs[0].outcome().signal == signal.SIGTERM
    assert not waits[0]._record.spool.exists()
    with pytest.raises(JobCancelledError):
        waits[0].result(30)
    assert local.session.cancel([*runs, *waits]) == [False] * 5


def test_cancel_ends_the_tree_of_a_job_that_ignores_term(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """qiskit-jku-provider#26: TERM, grace, KILL, to daemons too."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path, grace=0.3) as local:
        job = local.backend.run(Command([sys.executable, "-c", TREE]))
        until(lambda: len("".join(job.logs()).split()) == 3, "all of them run")
        pids = [int(word) for word in "".join(job.logs()).split()]
        assert job.cancel()
        assert job.outcome(30).status is JobStatus.CANCELLED
        until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "all of them are gone")


def test_cancel_lets_a_job_clean_up(local: Local) -> None:
    """dask-jobqueue#640, executorlib#1049: TERM comes first."""
    script = "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    job = local.backend.run(Command(["sh", "-c", script]))
    until(lambda: "".join(job.logs()), "it is ready")
    job.cancel()
    assert job.outcome(30).status is JobStatus.CANCELLED
    assert "".join(job.logs()) == "ready\ncleaned\n"


def test_walltime(local: Local) -> None:
    job = local.backend.run(Call(time.sleep, (1000,)), walltime=0.2)
    with pytest.raises(JobFailedError, match=r"longer than the 0\.2 s") as caught:
        job.result(30)
    assert caught.value.reason == "walltime"


def test_the_environment_is_kept_until_the_last_job_has_ended(own: Local) -> None:
    """It is in a file of mode 0600, and nowhere else."""
    jobs = own.backend.run_many(
        [Command(["true"]), Command(["sh", "-c", "read x < $FIFO"], env={"FIFO": own.fifo})]
    )
    jobs[0].result(30)
    (kept,) = own.paths.environments.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    Path(own.fifo).write_text("go\n")
    jobs[1].result(30)
    until(lambda: not kept.exists(), "it is gone")
    for pid in (own.supervisor, own.keeper):
        assert b"MARK_OF_CLIENT" not in Path(f"/proc/{pid}/environ").read_bytes()


# --- slots --------------------------------------------------------------------------------------


def test_first_in_first_out_up_to_the_slots(own: Local) -> None:
    log = own.root / "log"
    script = f'echo "$0 $(ls {own.root}/now 2>/dev/null | wc -l)" >> {log}'
    jobs = own.backend.run_many([Command(["sh", "-c", script, str(number)]) for number in range(20)], cpus=2)
    anyjob.wait(jobs, timeout=60)
    assert [int(line.split()[0]) for line in log.read_text().splitlines()] == list(range(20))


def test_slots_count_the_cpus_that_jobs_ask_for(own: Local) -> None:
    """One that needs more than is free waits for it; who fits in meanwhile does not."""
    first = own.backend.run(Command(["sleep", "1000"]))
    wide = own.backend.run(Command(["true"]), cpus=2)
    narrow = own.backend.run(Command(["true"]))
    running_now(first)
    assert narrow.result(30).exit_code == 0
    first.cancel()
    assert wide.outcome(30).started >= first.outcome().finished


def test_more_cpus_than_slots_are_rejected(own: Local) -> None:
    with pytest.raises(JobRejectedError, match=r"asks for 3 cpus, and there are 2 slots: ask for fewer"):
        own.backend.run(Command(["true"]), cpus=3)
    assert own.session.jobs() == []


def test_many_queues_side_by_side(own: Local) -> None:
    backends = [own.session.get_backend("local", slots=slots) for slots in (1, 2, 3)]
    jobs = [backend.run(Command(["true"])) for backend in backends for _ in range(3)]
    assert len(anyjob.wait(jobs, timeout=60).done) == 9
    own.session.get_backend("local")


# --- beyond the process that submits ------------------------------------------------------------

SUBMIT = """
from anyjob import Command
spec = Command(["sh", "-c", "read x < $FIFO; echo survived"], env={"FIFO": local.fifo})
job = local.backend.run(spec, name="n")
print(job.job_id(), flush=True)
input()
"""


def test_a_job_outlives_its_client_and_is_found_again(own: Local) -> None:
    """executorlib#412, PR#721, submitit#1707, psij-python#399: it survives, and is not submitted twice."""
    with own.program(SUBMIT) as client:
        assert client.stdout is not None
        job_id = client.stdout.readline().strip()
        client.kill()
    (job,) = own.another().jobs(name="n")
    assert job.job_id() == job_id
    running_now(job)
    Path(own.fifo).write_text("go\n")
    assert job.result(30).stdout.text() == "survived\n"


def test_a_supervisor_that_is_killed_costs_nothing(own: Local) -> None:
    job = own.backend.run(Command(["sh", "-c", "read x < $FIFO; echo on"], env={"FIFO": own.fifo}))
    running_now(job)
    own.kill("supervisor")
    Path(own.fifo).write_text("go\n")
    assert job.result(30).stdout.text() == "on\n"
    assert job.outcome().attempt == 1


def test_the_death_of_the_keeper(own: Local) -> None:
    """Parsl#3316 and others: what ran is lost and says so, or runs again where it may; what waits, runs."""
    hang = Command(["sh", "-c", 'test "$ANYJOB_ATTEMPT" = 2 || sleep 1000'])
    lost = own.backend.run(hang)
    again = own.backend.run(hang, restartable=True)
    waits = own.backend.run(Command(["true"]))
    for job in (lost, again):
        running_now(job)
    left = own.marked()
    own.kill("keeper")
    assert (lost.outcome(30).status, lost.outcome().reason) == (JobStatus.ERROR, "lost")
    assert (again.outcome(30).status, again.outcome().attempt) == (JobStatus.DONE, 2)
    assert waits.result(30).exit_code == 0
    assert not set(left) & set(own.marked())


def test_a_reboot_loses_what_ran_and_kills_nobody(own: Local) -> None:
    """A pid that was logged before a reboot means somebody else after it."""
    job = own.backend.run(Command(["sleep", "1000"]))
    running_now(job)
    own.kill("supervisor")
    own.kill("keeper")
    own.paths.boot.write_text("another boot")
    (left,) = own.marked()
    try:
        again = own.another().get_job(job.job_id())
        assert again.outcome(30).reason == "lost"
        assert psutil.Process(left).status() != psutil.STATUS_ZOMBIE
    finally:
        os.kill(left, signal.SIGKILL)


# --- waiting ------------------------------------------------------------------------------------


def test_the_end_is_pushed_whatever_the_wait_says(own: Local) -> None:
    """qiskit-ibm-runtime#2251: the wait and its callback are there; here another process ends the job."""
    job = own.backend.run(Command(["sh", "-c", "read x < $FIFO"], env={"FIFO": own.fifo}))
    again = own.another().get_job(job.job_id())
    seen: list[JobStatus] = []

    def callback(job_id: str, status: JobStatus, which: Any) -> None:
        seen.append(status)
        if status is JobStatus.RUNNING and seen.count(status) == 1:  # it may be asked twice while it runs
            Path(own.fifo).write_text("go\n")

    again.wait_for_final_state(timeout=60, wait=1000, callback=callback)
    assert seen[-2:] == [JobStatus.RUNNING, JobStatus.DONE]


def test_thousands_of_waits_are_three_threads(own: Local) -> None:
    """One hears the supervisor, one tells of what it has said, and one watches."""
    import threading

    before = set(threading.enumerate())
    gate = own.backend.run(Command(["sh", "-c", "read x < $FIFO"], env={"FIFO": own.fifo}), cpus=2)
    jobs = own.backend.run_many([Command(["true"])] * 2000)
    done: list[Any] = []
    for job in jobs:
        job._on_final(done.append)
    assert len(set(threading.enumerate()) - before) == 3
    own.session.cancel(jobs)
    gate.cancel()
    until(lambda: len(done) == 2000, "all are told")


def test_hooks_fire_once_a_change(own: Local) -> None:
    changes: list[tuple[str, str]] = []

    class Watching:
        def __getattr__(self, name: str) -> Any:
            return getattr(services, name)

        watches = True

        def changed(self, record: Any, old: JobStatus, new: JobStatus) -> None:
            changes.append((record.job_id, new.name))

        def finished(self, backend: Any, record: Any, outcome: Any) -> None:
            changes.append((record.job_id, "finished"))

    backend = own.backend
    services = backend.services
    backend.services = Watching()
    jobs = backend.run_many([Command(["sleep", "0.05"])] * 4)
    until(lambda: sum(what == "finished" for _, what in changes) == 4, "all are told")
    assert len(changes) == len(set(changes))
    assert {what for _, what in changes} >= {"QUEUED", "DONE", "finished"}
    assert {job.job_id() for job in jobs} == {job_id for job_id, _ in changes}


def test_a_callback_may_submit(own: Local) -> None:
    """What is called when a job ends runs in the thread that hears of it, and may ask for more."""
    more: list[Any] = []
    first = own.backend.run(Command(["sleep", "0.1"]))
    connection = own.backend._client._connection
    first._on_final(lambda said: more.append(own.backend.run(Command(["true"]))))
    until(lambda: more, "it has submitted another")
    assert more[0].result(30).exit_code == 0
    assert own.backend._client._connection is connection


def test_a_forked_child_has_a_connection_of_its_own(own: Local) -> None:
    """psij-python#387: it neither hangs nor speaks over its parent's."""
    own.backend.run(Command(["true"])).result(30)
    code = "import os; from anyjob import Command\n"
    code += "run = lambda: local.backend.run(Command(['true'])).result(30)\n"
    code += "run(); pid = os.fork(); run(); os.write(1, b'ok\\n')\n"
    code += "if pid: os.waitpid(pid, 0)\nelse: os._exit(0)"
    with own.program(code) as other:
        out, err = other.communicate(timeout=60)
    assert out == "ok\nok\n", err


def test_a_job_may_submit_jobs(own: Local) -> None:
    """What runs for a job's client is not taken for a part of the job."""
    code = "from anyjob import Command; print(local.backend.run(Command(['true'])).result(30).exit_code)"
    own.kill("supervisor") if own.supervisor else None
    inner = own.program(code)
    assert inner.communicate(timeout=60)[0] == "0\n"
    job = own.backend.run(Command(inner.args, env={"PYTHONPATH": f"{SOURCE}:{TESTS}"}))  # type: ignore[arg-type]
    assert job.result(60).stdout.text() == "0\n"
    marks = Path(f"/proc/{own.supervisor}/environ").read_bytes()
    assert b"ANYJOB_KEEPER" not in marks


def test_nothing_is_left_open(own: Local) -> None:
    """Neither supervisor nor keeper keeps a descriptor of a job, or of a client that is gone."""
    for _ in range(2):
        for job in own.backend.run_many([Command(["true"]), Call(abs, (1,))]):
            job.result(30)
    counts = [psutil.Process(pid).num_fds() for pid in (own.supervisor, own.keeper)]
    for _ in range(5):
        with own.another() as other:
            for job in other.get_backend("local").run_many([Command(["true"]), Call(abs, (1,))]):
                job.result(30)
    until(
        lambda: [psutil.Process(pid).num_fds() for pid in (own.supervisor, own.keeper)] == counts,
        "descriptors are closed",
    )


def test_the_clock_may_be_set_back(own: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits and timeouts go by the monotonic clock."""
    job = own.backend.run(Command(["sleep", "0.1"]))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1e6)
    assert job.result(30).exit_code == 0
    later = own.backend.run(Command(["true"]))
    assert later.result(30).exit_code == 0


def test_subprocess_is_not_left_over() -> None:
    """No test of this file has started a process that it did not wait for."""
    subprocess._cleanup()  # type: ignore[attr-defined]
    assert not subprocess._active  # type: ignore[attr-defined]


def test_an_outcome_that_cannot_be_kept_is_an_error(own: Local) -> None:
    """What a call raises may hold text that is no text."""
    job = own.backend.run(Call(_raise_no_text))
    assert (job.outcome(30).status, job.outcome().reason) == (JobStatus.ERROR, "exception")
    assert "udcff" in job.outcome().message
    assert own.backend.run(Call(abs, (-1,))).result(30) == 1, own.errors()


def _raise_no_text() -> None:
    raise ValueError("\udcff")
