"""joblib's `Parallel` over anyjob beside loky: 1,000 calls of 1 ms, after one call each that warms up.

Needs joblib and anyjob_joblib: .venv-plugins/anyjob-joblib/bin/python benchmarks/joblib_backend.py
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import anyjob_joblib  # noqa: F401 - makes the backend known
from joblib import Parallel, delayed, parallel_config

import anyjob

CALLS, SECONDS, JOBS, ROUNDS = 1000, 0.001, 2, 7


def rest(number: int) -> int:
    """Take a millisecond."""
    time.sleep(SECONDS)
    return number


def measure(**config: Any) -> float:
    """Return the seconds that the calls take."""
    with parallel_config(n_jobs=JOBS, **config):
        begun = time.perf_counter()
        assert Parallel()(delayed(rest)(number) for number in range(CALLS)) == list(range(CALLS))
        return time.perf_counter() - begun


def main() -> None:
    """Take turns, so that what else the machine does hits all alike."""
    reuse = anyjob.get_backend("local", isolation="reuse")
    backends: dict[str, dict[str, Any]] = {
        "loky": {"backend": "loky"},
        "processes": {"backend": "anyjob", "run_on": "processes"},
        "local, reuse": {"backend": "anyjob", "run_on": reuse},
    }
    for config in backends.values():
        measure(**config)
    rounds = [{name: measure(**config) for name, config in backends.items()} for _ in range(ROUNDS)]
    for name in backends:
        seconds = statistics.median(each[name] for each in rounds)
        of_loky = statistics.median(each[name] / each["loky"] for each in rounds)
        print(f"{name:14} {seconds:.3f} s  {of_loky:.2f} of loky")


if __name__ == "__main__":
    main()
