"""Nothing is lost, and nothing runs twice, whoever is killed and when: see `kill_harness`."""

from __future__ import annotations

from pathlib import Path

import pytest
from kill_harness import run_kills


@pytest.mark.timeout(600)
def test_every_job_is_accounted_for_in_hundreds_of_kills(tmp_path: Path) -> None:
    """executorlib#412, PR#721, aiida-core#1505, Parsl#1588: survives; never twice; never lost in silence."""
    rows, wrong, killed, _ = run_kills(tmp_path, kills=150, seed=20, clients=2)
    assert not wrong
    assert len(rows) > 50
    assert killed.pop("forks") > 0
    assert set(killed) == {"supervisor", "keeper", "zygote", "job", "client"}


@pytest.mark.timeout(600)
def test_every_job_is_accounted_for_where_processes_stop_and_the_clock_jumps(tmp_path: Path) -> None:
    rows, wrong, happened, _ = run_kills(tmp_path, kills=40, seed=21, clients=2, faults=True, disk=False)
    assert not wrong
    assert rows
    assert happened["clock jump"]
    assert any(what.startswith("stopped ") for what in happened)
