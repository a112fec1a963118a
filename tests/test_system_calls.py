"""Which system calls a job costs the daemons of `local`; counted by strace, where it is.

How often a daemon looks, waits, or speaks depends on how busy the machine is, and is left out: what it says
is counted by `test_hot_paths`. What is left needs no margin but for what is there once.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running

import anyjob
from anyjob import Call, Command
from anyjob.builtin.local.locks import lock_holder
from anyjob.builtin.local.process_table import Snapshot

MANY = 50
MARGIN = 0.3
COUNTED = (
    "mkdir", "openat", "write", "chdir", "umask", "dup2", "unlink", "rename", "symlink", "clone", "clone3",
    "vfork", "kill", "rt_sigaction", "setitimer", "getrusage", "setsid", "fsync", "fdatasync",
)  # fmt: skip
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "command": (Command(["true"]), {}),
    "reuse": (Call(abs, (1,)), {"isolation": "reuse", "recycle": 100_000}),
}
LIMITS: dict[str, dict[str, dict[str, int]]] = {
    "command": {
        "supervisor": {"mkdir": 1},  # of the directories above those of jobs
        # Which of the two starts a process depends on whether its niceness is that of the keeper.
        "keeper": {"mkdir": 1, "openat": 2, "write": 3, "chdir": 2, "umask": 2, "clone": 1, "clone3": 1,
                   "kill": 1},
    },
    "reuse": {
        "supervisor": {"mkdir": 1},
        "keeper": {"mkdir": 1, "write": 3, "chdir": 2},
        "worker": {
            "mkdir": 1, "rename": 1, "openat": 2, "write": 3, "chdir": 2, "umask": 5, "dup2": 2,
            "rt_sigaction": 3, "setitimer": 3, "getrusage": 3,
        },
    },
}  # fmt: skip
"""At most so many a job, of many that are submitted together; of what is not named, none. Calls that are
traced take long, so that workers have one at a time."""


class Tracer:
    """Counts system calls of a process, but not those of what it starts."""

    def __init__(self, pid: int, log: Path) -> None:
        self._log = log
        self._strace = subprocess.Popen(
            ["strace", "-o", str(log), "-e", "trace=" + ",".join(COUNTED), "-p", str(pid)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._strace.stderr is not None
        said = self._strace.stderr.readline()  # that it has attached, or why not
        if "attached" not in said:
            self._strace.wait()
            pytest.skip(f"strace may not count here: {said.strip()}")

    def counts(self) -> Counter[str]:
        """End, and return how many there were; to look into /proc, or into a worker's log, is none."""
        self._strace.send_signal(signal.SIGINT)
        self._strace.communicate()
        lines = self._log.read_text().splitlines()
        looks = '"/proc', "/workers/"
        return Counter(
            line.partition("(")[0] for line in lines if "(" in line and not any(at in line for at in looks)
        )


def programs(local: Local, kind: str) -> dict[str, list[int]]:
    """Return the processes whose system calls are counted."""
    supervisor, keeper = map(lock_holder, (local.paths.supervisor_lock, local.paths.keeper_lock))
    assert supervisor
    assert keeper
    found = {"supervisor": [supervisor], "keeper": [keeper]}
    if kind == "reuse":
        running = Snapshot().processes.values()
        zygotes = {each.pid for each in running if each.parent == keeper}
        found["worker"] = [each.pid for each in running if each.parent in zygotes]
    return found


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
@pytest.mark.parametrize("kind", KINDS)
def test_a_job_makes_no_more_system_calls_than_it_did(tmp_path: Path, kind: str) -> None:
    spec, options = KINDS[kind]
    counts: dict[str, Counter[str]] = {}
    with running(tmp_path, **options) as local:
        anyjob.wait(local.backend.run_many([spec] * 20))
        tracers = {
            program: [Tracer(pid, tmp_path / f"{pid}.calls") for pid in pids]
            for program, pids in programs(local, kind).items()
        }
        anyjob.wait(local.backend.run_many([spec] * MANY))
        for program, some in tracers.items():
            counts[program] = sum((tracer.counts() for tracer in some), Counter())
    limits = LIMITS[kind]
    over = {
        (program, call): count / MANY
        for program, calls in counts.items()
        for call, count in calls.items()
        if count / MANY > limits[program].get(call, 0) + MARGIN
    }
    assert not over, {program: dict(calls) for program, calls in counts.items()}
    ours = [counts[program] for program in ("keeper", "worker") if program in counts]
    made, taken = (sum(each[call] for each in ours) for call in ("mkdir", "rename"))
    # They were counted at all; a worker makes them for calls that it is given ahead.
    assert made + taken == MANY
    assert (made < MANY / 2) == (kind == "reuse")
