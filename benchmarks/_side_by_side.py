"""Runs variants side by side, and prints what each costs over a bare one.

Variants take turns within each round, so that what else the machine does hits all alike. What is
compared is the median, over the rounds, of the time that a variant takes beyond the bare one of the same
round.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BARE = "bare interpreter"
PAUSE = 0.05
"""Seconds before each: what daemons of the one before have left to do is not to be its successor's."""


def environment(*peers: str, directory: Path | None = None, source: Path = ROOT) -> Path:
    """Make (or bring up to date) a virtual environment with anyjob as it is now, and with peers.

    Args:
        peers: what else is installed.
        directory: of the environment.
        source: the checkout that anyjob is installed from.

    Returns its interpreter. The peers are in an environment of their own: the project's has none of them.
    """
    directory = directory or ROOT / ".venv-bench"
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, str(source), *peers], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(source)], check=True)
    return python


def variables(home: Path, **more: str) -> dict[str, str]:
    """The environment of the measured programs: byte code is kept, no settings and caches of the user."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), **more}


def measure(
    python: Path,
    programs: Mapping[str, str | Sequence[str]],
    environ: Mapping[str, str],
    rounds: int,
    own: Mapping[str, Mapping[str, str]] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time fresh processes; milliseconds by name, round by round.

    Args:
        python: the interpreter.
        programs: by name, what it runs, or a whole command in place of that.
        environ: the environment of all of them.
        rounds: how often each is timed, after two rounds that warm caches up.
        own: by name, environments of some.
        clock: what is read before and after each, in seconds: see `of_processor`.
    """
    commands: dict[str, Sequence[str]] = {
        name: [str(python), "-c", program] if isinstance(program, str) else program
        for name, program in {BARE: "pass", **programs}.items()
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(-2, rounds):
        for name, command in commands.items():
            time.sleep(PAUSE)
            variables = dict((own or {}).get(name, environ))
            start = clock()
            # Not in this checkout, whose pyproject.toml would be read for settings.
            done = subprocess.run(
                command, env=variables, cwd=variables["HOME"], capture_output=True, text=True
            )
            took = (clock() - start) * 1000
            if done.returncode:
                raise SystemExit(f"{name} ends with {done.returncode}: {done.stderr}")
            if number >= 0:
                times[name].append(took)
    return times


def of_processor() -> float:
    """Seconds of a processor that were spent on what was started here, whatever else the machine does."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


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
