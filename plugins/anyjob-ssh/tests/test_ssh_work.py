"""Work on another machine: by a real sshd, and what becomes of it when something is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import ssh_lab
from anyjob_ssh import command_line
from anyjob_ssh.backend import SshBackend

import anyjob
from anyjob import BackendUnavailableError, Call, Command, JobRejectedError, JobStatus

pytestmark = pytest.mark.engine("ssh")

Make = Callable[..., SshBackend]
OwnServer = Callable[..., ssh_lab.Server]


def test_a_job_has_one_id_on_both_sides(backend: SshBackend, server: ssh_lab.Server) -> None:
    """submitit#1711: from the laptop, and looked at by who is logged in there."""
    job = backend.run(Command(["sh", "-c", "echo $ANYJOB_JOB_ID"]), name="both")
    assert job.result(60).stdout.text().strip() == job.job_id() == job.native_id()
    assert job.job_id() in server.anyjob("jobs", "--json", "--name", "both").stdout


def test_bytes_that_are_no_text_arrive(backend: SshBackend) -> None:
    given = [b"\xff\xfe", "ü", 'a "b" $c `d` \\ ;', "", "\n"]
    script = "import os, sys; sys.stdout.buffer.write(b'|'.join(map(os.fsencode, sys.argv[1:])))"
    command = Command([sys.executable, "-c", script, *given], env={"X": b"\xfd"})  # type: ignore[list-item, dict-item]
    expected = b"|".join(each if isinstance(each, bytes) else os.fsencode(each) for each in given)
    assert backend.run(command).result(60).stdout.bytes() == expected


@pytest.mark.parametrize("size", [10, 100_000, 3_500_000])
def test_arguments_results_and_files_of_any_size_arrive(
    backend: SshBackend, tmp_path: Path, size: int
) -> None:
    """jobflow-remote#58: what is large stays there until it is asked for."""
    data = os.urandom(size)
    path = tmp_path / "given"
    path.write_bytes(data)
    call = backend.run(bytes, data)
    stdin = backend.run(Command(["cat"], stdin=path))
    file = backend.run(Command(["sh", "-c", 'cat "$ANYJOB_SPOOL"/files/x'], files={"x": path}))
    assert call.result(60) == data
    assert stdin.result(60).stdout.bytes() == data
    assert file.result(60).stdout.bytes() == data


def test_a_large_result_is_not_in_our_ledger(backend: SshBackend, anyjob_environment: Path) -> None:
    job = backend.run(bytes, 5_000_000)
    job.outcome(60)
    assert sum(f.stat().st_size for f in (anyjob_environment / "state").rglob("*") if f.is_file()) < 2_000_000
    again = backend.services.ledger.rows([job.job_id()])[job.job_id()]
    assert backend.recall(again).result(60) == bytes(5_000_000)


def test_what_is_written_can_be_followed(backend: SshBackend) -> None:
    job = backend.run(Command(["sh", "-c", "echo one; sleep 0.3; echo two >&2; echo three"]))
    assert list(job.logs(follow=True)) == ["one\n", "three\n"]
    assert list(job.logs("stderr")) == ["two\n"]


def test_relative_paths_begin_where_one_is_logged_in(
    backend: SshBackend, server: ssh_lab.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory of this side says nothing there."""
    there = Path(backend.run(Command(["pwd"])).result(60).stdout.text().strip())
    way = os.path.relpath(server.home, there)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    call, command = backend.run(Call(os.getcwd, cwd=way)), backend.run(Command(["pwd"], cwd=way))
    writes = backend.run(Command(["echo", "on"], cwd=way, stdout="written"))
    assert Path(call.result(60)) == Path(command.result(60).stdout.text().strip()) == server.home.resolve()
    assert writes.result(60).exit_code == 0
    assert (server.home / "written").read_text() == "on\n"


def test_variables_travel_only_where_they_are_asked_for(
    make: Make, server: ssh_lab.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("SOME_TOKEN", "geheim")
    show = Command(["sh", "-c", "echo ${OMP_NUM_THREADS-none} ${SOME_TOKEN-none} ${LC_ALL-none}"])
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for patterns, expected in (((), "none none none"), (("OMP_*",), "3 none none")):
        backend = make(**server.options(env=list(patterns)))
        assert backend.run(show).result(60).stdout.text().strip() == expected


def test_a_module_that_is_missing_there_is_named_before_anything_runs(
    backend: SshBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def f(): return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here  # type: ignore[import-not-found]

    with pytest.raises(JobRejectedError, match=r"only_here cannot be imported on .*register_pickle_by_value"):
        backend.run(only_here.f)
    with pytest.raises(
        JobRejectedError, match=r"only_here cannot be imported on .*, so that nothing was sent"
    ):
        backend.run(Call("only_here:f"))
    for job in backend.run_many([Call(only_here.f), Call("only_here:f")]):
        assert job.outcome(0).reason == "missing-module"
        assert job.native_id() is None
    assert backend.run(Call("math:sqrt", (16,))).result(60) == 4


def test_a_module_that_was_installed_meanwhile_is_found(
    make: Make, own_server: OwnServer, tmp_path: Path
) -> None:
    backend = make(**own_server(variables={"PYTHONPATH": str(tmp_path)}).options())
    with pytest.raises(JobRejectedError, match="late_module cannot be imported"):
        backend.run(Call("late_module:f"))
    (tmp_path / "late_module.py").write_text("def f(): return 3\n")
    assert backend.run(Call("late_module:f")).result(60) == 3


def test_nothing_is_known_of_modules_where_another_interpreter_runs_the_calls(
    make: Make, own_server: OwnServer
) -> None:
    """Whoever serves has not the module, and what the backend there names as ``python`` may have it."""
    named = {"ANYJOB_BACKENDS__LOCAL__PYTHON": sys.executable}
    backend = make(**own_server(variables=named).options())
    job = backend.run(Call("only_elsewhere:f"))
    assert job.outcome(60).reason == "missing-module"
    assert job.native_id() is not None


def test_what_is_safe_runs_programs_only(make: Make, server: ssh_lab.Server) -> None:
    backend = make(**server.options(safe=True))
    assert backend.run(Command(["echo", "ok"])).result(60).stdout.text() == "ok\n"
    call = backend.run(Command(["sh", "-c", "exit 4"]))
    assert call.outcome(60).exit_code == 4
    words = r"`safe = true` in \[backends.ssh\] .*: give a Command; or, .*, leave `safe` out"
    with pytest.raises(anyjob.UnsupportedSpecError, match=words):
        backend.run(Call(pow, (2, 3)))


SUBMITS = """
    import os, signal, sys, anyjob
    backend = anyjob.Session(
        config=anyjob.Config.from_dict({"backends": {"far": {"type": "ssh", **OPTIONS}}}, origin="a test"),
        state=STATE,
    ).get_backend("far")
    job = backend.run(anyjob.Command(["sh", "-c", "sleep 1; echo late >> RAN"]))
    print(job.job_id(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_client_loses_nothing(
    make: Make, server: ssh_lab.Server, tmp_path: Path, anyjob_environment: Path
) -> None:
    """psij-python#342: found again from another process, and run once."""
    ran = tmp_path / "ran"
    script = textwrap.dedent(SUBMITS).replace("OPTIONS", repr(dict(server.options())))
    script = script.replace("STATE", repr(str(anyjob_environment / "state"))).replace("RAN", str(ran))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    backend = make(**server.options())
    job = backend.retrieve_job(done.stdout.strip())
    assert job.outcome(60).status is JobStatus.DONE
    assert ran.read_text() == "late\n"


def test_what_a_killed_client_did_not_send_is_sent_by_the_next(
    make: Make, server: ssh_lab.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is in the ledger and was not handed over runs, and once, and is not lost."""
    killed = make(**server.options())
    monkeypatch.setattr(type(killed), "launch", lambda self, orders: iter(()))  # as if it were killed here
    job_id = killed.run(Command(["sh", "-c", "echo $$"])).job_id()
    monkeypatch.undo()
    killed.close()
    job = make(**server.options()).retrieve_job(job_id)
    first = job.result(60).stdout.text()
    assert first.strip().isdigit()
    assert job.outcome().attempt == 1


def test_an_agent_that_is_killed_again_and_again_runs_each_job_once(
    make: Make, own_server: OwnServer, tmp_path: Path
) -> None:
    server = own_server()
    ran = tmp_path / "ran"
    ran.mkdir()
    backend = make(**server.options())
    command = 'echo . >> "$0"/$ANYJOB_JOB_ID'
    jobs = []
    for _ in range(4):
        jobs += backend.run_many([Command(["sh", "-c", command, str(ran)])] * 20)
        server.kill_agents()
    anyjob.wait(jobs, 120)
    assert {job.outcome(60).status for job in jobs} == {JobStatus.DONE}
    assert {path.name: path.read_text() for path in ran.iterdir()} == {j.job_id(): ".\n" for j in jobs}


def test_a_server_that_is_away_is_told_and_waits_go_on(make: Make, own_server: OwnServer) -> None:
    server = own_server()
    backend = make(**server.options())
    job = backend.run(Command(["sh", "-c", "sleep 2; echo on"]))
    faults = ssh_lab.Faults(server)
    with faults.down():
        with pytest.raises(BackendUnavailableError, match="Connection refused"):
            backend.run(Command(["true"]))
        with pytest.raises(BackendUnavailableError):
            job.status()
    assert job.result(60).stdout.text() == "on\n"


def test_a_job_of_local_is_cancelled_on_its_host_wherever_the_name_leads(
    make: Make, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One name, two hosts with one home; each is called what it is reached by, directly or by the other."""
    server = own_server()
    server.stop()
    program = server.bin / "anyjob"
    called = 'set -- $SSH_CONNECTION -- "$@"; export ANYJOB_HOST=$3; shift 5; exec'
    program.write_text(program.read_text().replace("exec", called, 1))
    server.lines = (f"ListenAddress 127.0.0.3:{server.port}",)
    server.start()
    known = server.known_hosts.read_text()
    server.known_hosts.write_text(known + known.replace("127.0.0.1", "127.0.0.3"))
    backend = make(**server.options())
    job = backend.run(Command(["sh", "-c", "echo begun; exec sleep 1000"]))
    next(job.logs(follow=True))
    server.write_config(HostName="127.0.0.3")  # where the name leads from now on
    server.kill_agents()
    assert backend.control_many("pause", [job]) == [True]
    backend._hosts.close()
    ways = command_line.arguments_to
    monkeypatch.setattr(command_line, "arguments_to", lambda *given: ways(*given)[1:])
    assert job.cancel()
    assert server._commands(b"\0ProxyJump=lab\0")
    assert job.outcome(60).status is JobStatus.CANCELLED
