"""Whose a process is, from what /proc says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob.builtin.local import process_table
from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.keeper.log.lines import ReplayedLog
from anyjob.builtin.local.keeper.processes.termination import Terminator
from anyjob.builtin.local.supervisor.keepers.dead_keeper import kill_leftovers


@given(st.binary(max_size=16).filter(lambda name: b"\0" not in name))
def test_a_name_of_brackets_and_blanks_does_not_confuse(name: bytes) -> None:
    fields = b"S 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 1000 10"
    process = process_table.Process(7, b"7 (" + name + b") " + fields)
    assert (process.state, process.parent, process.group, process.session) == (b"S", 1, 2, 3)
    assert process.started == 4242


def test_the_start_time_is_that_of_the_tick(tmp_path: Path) -> None:
    exact = 0
    for _ in range(10):
        before = process_table.ticks_since_boot()
        pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
        after = process_table.ticks_since_boot()
        started = process_table.start_time(pid)
        assert before <= started <= after
        exact += before == after
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert process_table.start_time(pid) == 0
    assert exact


@given(st.binary(max_size=60))
def test_any_environment_can_be_read(junk: bytes) -> None:
    environment = junk + b"\0ANYJOB_KEEPER=/s\0ANYJOB_JOB_ID=ab\0ANYJOB_ATTEMPT=2\0"
    mark = process_table.read_mark(environment)
    assert mark is not None
    assert (mark.keeper, mark.job_id, mark.attempt, mark.is_zygote) == ("/s", "ab", 2, False)
    assert process_table.read_mark(b"ANYJOB_ZYGOTE=/s///\0PATH=/bin") is not None
    assert process_table.read_mark(junk.replace(b"ANYJOB", b"")) is None


def test_leftovers_are_ended_and_others_are_not(tmp_path: Path) -> None:
    """Those in the session of a logged process, and those that carry the mark; nobody else."""
    marked = {"ANYJOB_KEEPER": str(tmp_path), "ANYJOB_JOB_ID": "a", "ANYJOB_ATTEMPT": "1"}
    mine = subprocess.Popen(["sleep", "600"], env=marked)
    elsewhere = subprocess.Popen(["sleep", "600"], env={**marked, "ANYJOB_KEEPER": "/elsewhere"})
    program = "import os,time; os.environ.clear(); os.execv('/bin/sleep', ['sleep', '600'])"
    unmarked = subprocess.Popen([sys.executable, "-c", program], start_new_session=True, env={})
    reused = subprocess.Popen(["sleep", "600"], start_new_session=True, env={})
    log = ReplayedLog()
    for name, process, off in (("b", unmarked, 0), ("c", reused, 1)):
        started = process_table.start_time(process.pid) - off
        log.running[name] = {"pid": process.pid, "starttime": started}
    try:
        assert kill_leftovers(log, tmp_path) == []
        assert (mine.wait(60), unmarked.wait(60)) == (-signal.SIGKILL, -signal.SIGKILL)
        assert elsewhere.poll() is None
        assert reused.poll() is None, "a pid that went to another process is not ours to end"
    finally:
        for process in (mine, elsewhere, unmarked, reused):
            process.kill()
            process.wait()


def test_all_processes_are_looked_at_only_for_a_child_that_nobody_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Looked(Exception):
        pass

    def look() -> None:
        raise Looked

    monkeypatch.setattr(process_table, "Snapshot", look)
    with subprocess.Popen(["sleep", "600"]) as child:
        known = {child.pid}
        terminator = Terminator(EventLoop(), b"/s", lambda key: False, known.__contains__)
        try:
            known.update(process_table.children(os.getpid()) or ())
            terminator.sweep()
            known.remove(child.pid)
            with pytest.raises(Looked):
                terminator.sweep()
        finally:
            child.kill()
