"""Calls while the network between two hosts goes away: for programs that `TwoHosts.run` starts."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

OUTAGE = 2.0
"""Seconds that the network is away: less than those after which an engine takes a host for dead."""
CALLS = 600


def request(change: str) -> None:
    """Have the test ``disconnect`` or ``connect`` the hosts, and wait until that is done."""
    print(change, flush=True)
    sys.stdin.readline()


def run_calls_across_outage(backend: Any, call: Callable[[int], int], notes: Path) -> None:
    """Have many calls made, and the network go away meanwhile: each is made once, and gives its result.

    Args:
        backend: whose engine is on both hosts.
        call: writes the number that it is given to the notes, as a line, and returns it; takes a moment.
        notes: the file.
    """
    jobs = backend.map(call, range(CALLS))
    while _calls_made(notes).total() < CALLS / 10:
        assert not jobs[0].in_final_state() or jobs[0].result() == 0
        time.sleep(0.01)
    request("disconnect")
    time.sleep(OUTAGE)
    assert not all(job.in_final_state() for job in jobs), "all had ended before"
    request("connect")
    assert [job.result(60) for job in jobs] == list(range(CALLS))
    made = _calls_made(notes)
    assert set(made.values()) == {1}, made.most_common(3)


def _calls_made(notes: Path) -> Counter[str]:
    return Counter(notes.read_text().split() if notes.exists() else ())
