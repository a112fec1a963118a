"""Runs variants side by side, and prints what each costs over a bare one.

Variants take turns within each round, so that what else the machine does hits all alike. What is
compared is the median, over the rounds, of the time that a variant takes beyond the bare one of the same
round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BARE = "bare interpreter"


def environment(*peers: str, directory: Path | None = None) -> Path:
    """Make (or bring up to date) a virtual environment with anyjob as it is now, and with peers.

    Returns its interpreter. The peers are in an environment of their own: the project's has none of them.
    """
    directory = directory or ROOT / ".venv-bench"
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, str(ROOT), *peers], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(ROOT)], check=True)
    return python


def variables(home: Path, **more: str) -> dict[str, str]:
    """The environment of the measured programs: byte code is kept, no settings and caches of the user."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), **more}


def measure(
    python: Path, programs: Mapping[str, str], environ: Mapping[str, str], rounds: int
) -> dict[str, list[float]]:
    """Time fresh interpreters that run programs; milliseconds by name, round by round."""
    programs = {BARE: "pass", **programs}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(-2, rounds):  # two rounds to warm the caches up
        for name, program in programs.items():
            start = time.perf_counter()
            subprocess.run([python, "-c", program], check=True, env=dict(environ))
            if number >= 0:
                times[name].append((time.perf_counter() - start) * 1000)
    return times


def costs(times: Mapping[str, Sequence[float]], bare: str = BARE) -> dict[str, list[float]]:
    """What each variant takes beyond the bare one, round by round."""
    return {
        name: [one - other for one, other in zip(values, times[bare], strict=True)]
        for name, values in times.items()
        if name != bare
    }


def report(times: Mapping[str, Sequence[float]], limits: Sequence[tuple[str, str, float]]) -> bool:
    """Print a table and the ratios of costs; return whether all are within their limits.

    Args:
        times: as `measure` gives them.
        limits: (variant, the one that it is compared with, the largest ratio allowed).
    """
    over = costs(times)
    width = max(map(len, times))
    print(f"{'':{width}}  median ms   quartiles      over bare")
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        beyond = f"{statistics.median(over[name]):8.1f}" if name in over else ""
        print(f"{name:{width}}  {middle:9.1f}   {low:5.1f} to {high:5.1f}  {beyond}")
    print()
    good = True
    for name, other, limit in limits:
        ratio = statistics.median(over[name]) / statistics.median(over[other])
        good &= ratio <= limit
        mark = "" if ratio <= limit else "   <- too slow"
        print(f"{name} costs {ratio:.2f} of {other} (at most {limit:g}){mark}")
    return good


def rounds(default: int = 15) -> int:
    """The number of rounds: the first argument of the script, if any."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else default
