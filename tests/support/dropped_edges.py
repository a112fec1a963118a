"""What an engine with a graph of its own has dropped, and what is to start still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.gated_calls import opened
from support.waiting import wait_until


def check_start_without_what_is_cancelled(
    backend: Any, running: Any, waiting: Any, takes: Callable[[Any], Any], gate: Path, patience: float
) -> None:
    """Cancel a job alone: what only starts after it starts without it, and what takes its result ends.

    Args:
        backend: of the engine.
        running: a job that takes all of it until the gate is opened.
        waiting: one that waits for that; it is cancelled.
        takes: what is called with its result.
        gate: that of the first.
        patience: seconds that a step may take.
    """
    behind = backend.run(abs, -1, after=[waiting, running])
    last = backend.run(abs, behind, after=behind)
    needs = backend.run(takes, waiting)
    assert all(job.native_id() for job in (behind, last, needs))
    wait_until(running.running, "a job that runs")
    assert waiting.cancel(downstream=False)
    assert needs.outcome(patience).reason == "dependency"
    opened(gate)
    assert (behind.result(patience), last.result(patience)) == (1, 1)
    assert [[each.followed_by for each in job.attempts()] for job in (behind, last)] == [
        ["dependency", ""]
    ] * 2
