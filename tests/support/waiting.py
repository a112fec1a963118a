"""Waits for what no event tells of: files, ends of processes, conditions."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyjob.status import JOB_FINAL_STATES, JobStatus

TIMEOUT = 60.0
"""Seconds after which a test that waits for something gives up."""


def wait_until(
    condition: Callable[[], Any], what: str = "what the test waits for", timeout: float = TIMEOUT
) -> Any:
    """Wait until this gives something true, and return it; ``what`` names it where it does not come."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.002)
    return found


def wait_until_running(job: Any) -> None:
    """Wait until it is told that a job runs, which is after what it does first; it must not end."""

    def is_running() -> bool:
        status = job.status()
        assert status not in JOB_FINAL_STATES, f"{job!r} has ended: {job.outcome()}"
        return bool(status is JobStatus.RUNNING)

    wait_until(is_running, f"{job!r} runs")


def wait_for_file(path: Path) -> str:
    """Wait until there is a file with something in it, and return that."""
    return str(wait_until(lambda: path.exists() and path.read_text(), str(path)))


def wait_for_exit(*pids: int) -> None:
    """Wait until these processes have ended."""
    import psutil

    processes = []
    for pid in pids:
        try:
            processes.append(psutil.Process(pid))
        except psutil.NoSuchProcess:
            continue
    wait_until(
        lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes),
        f"the end of {pids}",
    )
