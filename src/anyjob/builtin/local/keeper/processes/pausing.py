"""Pauses jobs: all processes of one are stopped, and go on when it is resumed."""

from __future__ import annotations

import signal

from anyjob.builtin.local import process_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 20
"""How often it is looked for processes that were forked off meanwhile, at most."""


def stop(processes: Callable[[], list[process_table.Process]]) -> None:
    """Stop all processes of a job.

    Args:
        processes: looks for them, anew each time: one that is not stopped yet may start others.
    """
    stopped: set[tuple[int, int]] = set()
    for _ in range(ROUNDS):
        found = [process for process in processes() if (process.pid, process.started) not in stopped]
        if not found:
            return
        for process in found:
            process_table.send_signal(process, signal.SIGSTOP)
            stopped.add((process.pid, process.started))


def go_on(processes: list[process_table.Process]) -> None:
    """Have all processes of a job go on."""
    for process in processes:
        process_table.send_signal(process, signal.SIGCONT)
