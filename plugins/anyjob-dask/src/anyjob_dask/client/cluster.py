"""The cluster that is started where no scheduler is named: a process of its own, which ends with its backend.

A program that starts Dask's workers itself would need a ``__main__`` guard; this one has one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from anyjob import BackendUnavailableError
from anyjob.sdk import in_children, spawn_interpreter, unmark_interpreter

CLOSE_TIMEOUT = 3.0
"""Seconds that it may take to end."""


class Cluster:
    """A cluster of this machine, started when it is made.

    Args:
        slots: how many jobs at a time.
        memory: what each worker may use, as Dask takes it; None: its part of the machine.
        one_worker: whether they are threads of one worker, or a worker each.

    Raises:
        BackendUnavailableError: it does not start.
    """

    def __init__(self, slots: int, memory: str | None, *, one_worker: bool) -> None:
        path = [os.path.abspath(entry) for entry in sys.path]
        code = f"import sys; sys.path[:] = {path!r}; from anyjob_dask.client.cluster import main; main()"
        self._process = spawn_interpreter(
            ["-c", code, json.dumps([slots, memory, one_worker])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        in_children(self._let_go)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()
        if not self.address:
            exit_code = self.close()
            raise BackendUnavailableError(
                f"a Dask cluster of {slots} slots did not start on this machine (exit code {exit_code}): "
                "what it says of that is on stderr"
            )

    def _let_go(self) -> None:
        """In a child of a fork: it ends with our parent, as the end of its stdin tells it."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        process.returncode = 0

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def close(self) -> int:
        """End the cluster, and what runs in it; return its exit code."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            code = process.wait(CLOSE_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            code = process.wait()
        process.stdout.close()
        return code


def main() -> None:
    """Run the cluster in this process, until the one that started it closes stdin or dies."""
    unmark_interpreter()
    slots, memory, one_worker = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Dask prints is no address

    import distributed

    start: Any = distributed.LocalCluster
    with start(
        n_workers=1 if one_worker else slots,
        threads_per_worker=slots if one_worker else 1,
        processes=True,
        dashboard_address="127.0.0.1:0",  # any port: another cluster may have the usual one
        scheduler_kwargs={"dashboard": False},
        host="127.0.0.1",
        memory_limit=memory or "auto",
        resources={"CPU": slots if one_worker else 1},
    ) as cluster:
        print(cluster.scheduler_address, file=out, flush=True)
        sys.stdin.read()
