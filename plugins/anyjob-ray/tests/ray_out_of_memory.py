"""A program whose jobs take more memory than the nodes of a cluster are to give, so that Ray kills them.

It says what it should have seen and has not. Ray kills by what the whole machine has left, and so, where
others take memory meanwhile, jobs that take none: here the node is told by a file what is taken, which is
what the job that takes too much has, and nothing else. It has one CPU: beside that job no other runs, which
Ray may take for it.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import ray_lab
import ray_work

from anyjob import Call, Config, Session

TOTAL, SPARE = 10_000_000_000, 500_000_000
"""Bytes of memory that the node has, and those of them that may be taken: less than what the job takes."""
PATIENCE = 100
"""Seconds that one step may take, on a machine that has much else to do."""
REFRESH = 1000
"""Milliseconds after which Ray looks again: by then it is told that what it has killed takes nothing more."""


class NodeMemory:
    """A file like ``/proc/meminfo``, of a node of which nothing is taken but by those that say that they eat.

    Args:
        directory: where it is, and where they say so.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "meminfo"
        self._machine = Path("/proc/meminfo").read_text()
        self._file.touch()
        self._tell()
        threading.Thread(target=self._follow, daemon=True).start()

    @property
    def enter(self) -> list[str]:
        """The command that begins one which sees this memory in place of the machine's."""
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            f'mount --bind {self._file} /proc/meminfo && exec "$@"',
            "sh",
        ]

    def _follow(self) -> None:
        while True:
            self._tell()
            time.sleep(0.02)

    def _tell(self) -> None:
        taken = sum(_taken(int(path.read_text())) for path in self._directory.glob("*.eater"))
        lines = {"MemTotal": TOTAL, "MemFree": TOTAL - taken, "MemAvailable": TOTAL - taken}
        text = self._machine
        for name, size in lines.items():  # of the same length, since it is read while it is written
            text = re.sub(rf"(?m)^{name}:.*$", f"{name}: {size // 1024:15} kB", text)
        with open(self._file, "r+") as stream:
            stream.write(text)


def _taken(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def one_alone(backend: Any, notes: str) -> None:
    """Of a job whose worker Ray kills for want of memory, the reason is that."""
    job = backend.run(Call("ray_work:noted", (notes, 0, (0,), "eat")))
    outcome = job.outcome(PATIENCE)
    assert outcome.reason == "memory", outcome
    assert "memory=" in outcome.message, outcome
    assert list(job.logs()) == ["call 0\n"], list(job.logs())
    with open(notes) as stream:
        assert len(stream.readlines()) == 1, "it was run again"


def one_of_many(backend: Any, notes: str) -> None:
    """The calls that were to be made by the same worker are made, once."""
    calls = [Call("ray_work:noted", (notes, number, (77,), "eat")) for number in range(100)]
    jobs = backend.run_many(calls)
    outcomes = [job.outcome(PATIENCE) for job in jobs]
    assert outcomes.pop(77).reason == "memory", outcomes
    assert {outcome.reason for outcome in outcomes} == {None}, outcomes
    with open(notes) as stream:
        numbers = sorted(int(line.split()[0]) for line in stream)
    assert numbers == list(range(100)), numbers


def main(state: str) -> None:
    assert SPARE < ray_work.TOO_MUCH
    memory = NodeMemory(Path(state))
    allowed = subprocess.run([*memory.enter, "true"], capture_output=True, text=True)
    if allowed.returncode != 0:
        print(f"a node cannot be told here what memory it has: {allowed.stderr}")
        sys.exit(ray_lab.SKIPPED)
    os.environ.update(ray_lab.environment())
    cluster = ray_lab.Cluster(
        1,
        enter=memory.enter,
        memory_usage_threshold=SPARE / TOTAL,
        memory_monitor_refresh_ms=REFRESH,
    )
    atexit.register(cluster.stop)
    tables = {mode: {"type": "ray", "address": cluster.address, "mode": mode} for mode in ("fast", "durable")}
    with Session(Config.from_dict({"backends": tables}), state=state) as session:
        for name in tables:
            backend = session.get_backend(name)
            one_alone(backend, os.path.join(state, f"notes-{name}"))
            one_of_many(backend, os.path.join(state, f"many-{name}"))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(4 * PATIENCE, exit=True)
    main(sys.argv[1])
