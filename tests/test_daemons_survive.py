"""Daemons of `local` when what they stand on goes: their installation, their state, the name of the host."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_driver import until
from running_local import SOURCE, TESTS, Local, running
from support.waiting import wait_until

from anyjob import Call, Command
from anyjob.builtin.local.backend import LocalBackend
from anyjob.builtin.local.locks import lock_holder
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.process_table import read_process
from anyjob.errors import BackendError, ConfigError, JobFailedError, JobTimeoutError
from anyjob.ledger import identity


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Local]:
    with running(tmp_path) as made:
        yield made


def is_gone(pid: int | None) -> bool:
    return pid is None or read_process(pid) is None


def test_the_installation_that_started_the_daemons_is_removed(own: Local, tmp_path: Path) -> None:
    """issue 14, 5: every call of every environment failed then, without words."""
    copy = tmp_path / "site"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "from running_local import Local; from anyjob import Command; from pathlib import Path; "
        "import anyjob; "
        f"own = Local(Path({str(own.root)!r})); assert anyjob.__file__.startswith({str(copy)!r}); "
        f"print(own.backend.run(Command(['cat', {own.fifo!r}])).job_id())"
    )
    environment = {**os.environ, "PYTHONPATH": f"{copy}:{TESTS}"}
    job_id = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True, timeout=60)
    supervisor, keeper = own.supervisor, own.keeper
    shutil.rmtree(copy)
    assert own.backend.run(Call(abs, (-5,))).result(timeout=60) == 5
    assert own.supervisor != supervisor
    assert own.keeper == keeper
    running_still = own.session.get_job(job_id.strip())
    Path(own.fifo).write_text("done")
    assert running_still.result(timeout=60).stdout.text() == "done"


def test_zygotes_of_a_keeper_run_what_it_was_started_with(own: Local, tmp_path: Path) -> None:
    copy = tmp_path / "site"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "from running_local import Local; from anyjob import Call; from pathlib import Path; "
        f"print(Local(Path({str(own.root)!r})).backend.run(Call(abs, (-1,))).result(60))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{copy}:{TESTS}"}
    subprocess.check_call([sys.executable, "-c", code], env=environment, timeout=60)
    main = copy / "anyjob" / "builtin" / "local" / "zygote" / "main.py"
    main.unlink()
    main.write_text("raise SystemExit('of another version')")
    assert own.backend.run(Call(abs, (-5,))).result(timeout=60) == 5


def remove(state: Path) -> None:
    while state.exists():  # daemons may write to it meanwhile
        shutil.rmtree(state, ignore_errors=True)


@pytest.mark.parametrize("busy", [False, True])
def test_the_state_directory_is_removed_to_start_over(own: Local, busy: bool) -> None:
    """issue 14, 8."""
    jobs = [own.backend.run(Command(["cat", own.fifo]))] if busy else []
    own.backend.run(Command(["true"])).result(timeout=60)
    before = own.supervisor, own.keeper
    remove(own.state)
    assert own.another().get_backend("local").run(Call(abs, (-5,))).result(timeout=60) == 5
    own.session.close()
    until(lambda: all(map(is_gone, before)), "the daemons of the state that was removed have ended")
    del jobs


def test_who_waits_is_told_that_the_state_directory_was_removed(own: Local) -> None:
    """issue 14, 8: a waiting client hung."""
    job = own.backend.run(Command(["cat", own.fifo]))
    until(job.running, "it runs")
    with own.another() as other:
        waiting = other.get_job(job.job_id())
        waiting._on_final(lambda said: None)
        client = waiting.backend()._client
        until(lambda: client._connection is not None, "it is connected")
        remove(own.state)
        with pytest.raises(JobFailedError, match=r"\(lost\): it is not in the ledger any more"):
            waiting.result(timeout=60)


def test_one_machine_under_two_names_has_two_queues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """issue 14, 6: their supervisors met at one socket, and died of each other's jobs."""
    own = Local(tmp_path)
    with monkeypatch.context() as renaming:
        first = own.backend.run(Command(["cat", own.fifo]))
        renaming.setattr(identity, "HOST", "renamed")
        renamed = own.another()
        there = RuntimePaths(own.state)
        try:
            assert renamed.get_backend("local").run(Call(abs, (-5,))).result(timeout=60) == 5
            assert there.host == "renamed"
            assert own.supervisor not in (None, lock_holder(there.supervisor_lock))
            assert there.supervisor_socket != own.paths.supervisor_socket
            Path(own.fifo).write_text("done")
            assert first.result(timeout=60).stdout.text() == "done"
        finally:
            renamed.close()
            own.session.close()
            for lock in (there.supervisor_lock, there.keeper_lock, *(own.paths.logs.glob("*.lock"))):
                if pid := lock_holder(lock):
                    os.kill(pid, signal.SIGKILL)
            for pid in own.marked():
                os.kill(pid, signal.SIGKILL)


def test_what_waits_under_an_old_name_can_be_run(own: Local, caplog: pytest.LogCaptureFixture) -> None:
    """issue 14, 6: such jobs waited for ever, without a word."""
    own.backend.run(Command(["true"])).result(timeout=60)  # under our own name, which goes on
    code = (
        "import os, signal; from anyjob import Command\n"
        f"jobs = local.backend.run_many([Command(['cat', {own.fifo!r}])] * 2 + [Command(['true'])])\n"
        "while not all(job.running() for job in jobs[:2]): pass\n"
        # Neither sees the other die: it would start it anew.
        "for s in signal.SIGSTOP, signal.SIGKILL: os.kill(local.keeper, s); os.kill(local.supervisor, s)\n"
        "print(*(job.job_id() for job in jobs))"
    )
    with own.program(code, ANYJOB_HOST="old") as renamed:
        ids = renamed.communicate(timeout=60)[0].split()
    waiting = own.session.get_job(ids[2])
    with pytest.raises(JobTimeoutError):
        waiting.result(timeout=0.1)
    assert "jobs of host old are run there" in caplog.text
    with pytest.raises(BackendError, match=r"cancel its jobs there.*ANYJOB_HOST=old"):
        waiting.cancel()
    code = "print(*(local.session.get_job(i).outcome(60).reason for i in INPUT.split()))"
    with own.program(code.replace("INPUT", repr(" ".join(ids))), ANYJOB_HOST="old") as back:
        assert back.communicate(timeout=120)[0] == "lost lost None\n"
    assert waiting.result(timeout=60).exit_code == 0


def test_a_host_is_called_by_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "HOST", "../other")
    with pytest.raises(ConfigError, match=r"'\.\./other' is no name of a host: set ANYJOB_HOST"):
        RuntimePaths(tmp_path)


def test_who_waits_is_told_of_a_keeper_that_was_stopped(own: Local, caplog: pytest.LogCaptureFixture) -> None:
    """issue 14, 8: clients hung without a word."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        "from anyjob.builtin.local.supervisor import main; "
        "from anyjob.builtin.local.supervisor.keepers import keeper_link; "
        "keeper_link.PING = keeper_link.SILENCE = 0.2; main.main()"
    )
    arguments = own.paths.arguments("supervisor")
    arguments[arguments.index("-c") + 1] = code
    done = subprocess.run([sys.executable, *arguments], timeout=60, check=True, capture_output=True)
    assert done.returncode == 0
    job = own.backend.run(Command(["cat", own.fifo]))
    until(job.running, "it runs")
    keeper = own.keeper
    assert keeper is not None
    os.kill(keeper, signal.SIGSTOP)
    try:
        until(lambda: f"(pid {keeper}) has not answered" in caplog.text, "the warning")
    finally:
        os.kill(keeper, signal.SIGCONT)
    Path(own.fifo).write_text("done")
    assert job.result(timeout=60).stdout.text() == "done"


def test_elsewhere_than_on_linux_the_way_out_is_told(own: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """issue 14, 20."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigError, match="needs Linux, and this is darwin: use `processes`"):
        LocalBackend.from_options("local", {})


def test_who_begins_to_wait_when_all_daemons_are_dead_has_new_ones(own: Local) -> None:
    """What waited for others waited for ever: the connection was lost while nobody waited for anything."""
    job = own.backend.run(Command(["cat", own.fifo]))
    own.backend.run(Command(["true"])).result(timeout=60)  # its watch has ended, and the thread of it has not
    wait_until(job.running, "it runs")
    pids = [pid for pid in (own.keeper, own.supervisor) if pid is not None]
    for number in (signal.SIGSTOP, signal.SIGKILL):  # neither sees the other die: it would start it anew
        for pid in pids:
            os.kill(pid, number)
    wait_until(lambda: own.backend._client._connection is None, "the connection is lost")
    assert job.outcome(timeout=20).reason == "lost"
