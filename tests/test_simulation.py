"""The simulation: 500 runs hold every promise, a seed is one schedule, and faults of ours are found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulation import mutations
from simulation.world import World

PROGRAM = str(Path(__file__).parent / "simulation" / "run.py")


def simulate(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, *arguments], capture_output=True, text=True, env={**os.environ, **variables}
    )


@pytest.mark.timeout(1200)
def test_what_is_promised_holds_whatever_goes_wrong() -> None:
    done = simulate("--runs", "500")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "500 runs" in done.stdout


def test_a_seed_is_one_schedule() -> None:
    one, other = (simulate("--seed", "7", PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert one.stdout.count("\n") > 50, one.stdout + one.stderr
    assert one.stdout == other.stdout


@pytest.mark.parametrize("mutation", mutations.QUICK, ids=lambda mutation: mutation.__name__)
def test_a_fault_in_our_code_is_found(mutation: Callable[[], Any]) -> None:
    assert mutations.runs_until_found(mutation) is not None


@pytest.mark.parametrize("mutation", mutations.SCHEDULES, ids=lambda mutation: mutation.__name__)
def test_a_fault_in_our_code_is_found_on_its_schedule(mutation: Callable[[], Any]) -> None:
    clients, faults = mutations.SCHEDULES[mutation]
    seeds = range(30)
    assert not any(World(seed, faults, clients).run() for seed in seeds)
    with mutation():
        found = next(filter(None, (World(seed, faults, clients).run() for seed in seeds)), None)
    assert found is not None
    mutations.in_a_line(found[0])
