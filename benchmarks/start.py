"""What short programs cost: the command line in starts of a bare interpreter, and a first result.

The daemons of `local` are warm, and `jobs` lists what `run` has run. What is imported from others is there
beside, and all that `run` imports: what it takes beyond that, it does. With a checkout of older code, that is
measured too, and a first result is compared with that of it, by what each takes beyond a bare interpreter.
With `--cpu`, what is counted is the time of a processor that the program itself takes, without that of the
daemons: for a machine that does other things, too.

Usage: python benchmarks/start.py [rounds [checkout]] [--cpu]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import _side_by_side as bench
import psutil

FIRST = "import anyjob; assert anyjob.get_backend('inline').run(anyjob.Call('math:sqrt', (4,))).result() == 2"
THEN = bench.ROOT / ".venv-bench-before"
RESULT, BEFORE = "a first result of inline", ", before"
COMMANDS = {
    "anyjob --version": (["--version"], 2.5),
    "anyjob jobs": (["jobs"], 5),
    "anyjob run -- true": (["run", "--", "true"], 6),
}
# The program searches its imports for no garbage.
FROZEN = "import atexit, gc; gc.set_threshold(50_000); atexit.register(gc.freeze); import "
THEIRS = {
    "what inline imports of others": "import msgspec, pickle, threading, weakref",
    "what jobs imports of others": f"{FROZEN}re, click, pathlib, sqlite3",
    "what run imports of others": f"{FROZEN}re, click, pathlib, sqlite3, msgspec, pickle, signal, socket",
}


RUN_IMPORTS = "what run imports, ours too"


@contextmanager
def home() -> Iterator[Path]:
    """A home whose state nobody serves any more when it goes."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            yield Path(directory)
        finally:
            ours = [each for each in psutil.process_iter(["cmdline"]) if _serves(each, directory)]
            for process in ours:
                process.terminate()
            psutil.wait_procs(ours, 10)


def _serves(process: psutil.Process, directory: str) -> bool:
    return any(argument.startswith(directory) for argument in process.info["cmdline"] or ())


def main() -> int:
    clock = bench.of_processor if "--cpu" in sys.argv else time.perf_counter
    sys.argv = [each for each in sys.argv if each != "--cpu"]
    now = bench.environment()
    programs: dict[str, str | list[str]] = {"import anyjob": "import anyjob", **THEIRS}
    limits = []
    with home() as directory, home() as other:
        own = {}
        environments = {"": now}
        for checkout in sys.argv[2:]:
            environments[BEFORE] = bench.environment(directory=THEN, source=Path(checkout))
            limits.append((RESULT, RESULT + BEFORE, 0.5))
        for name in (RESULT, *COMMANDS):
            for when, python in environments.items():
                programs[name + when] = command(python, name)
                if when:
                    own[name + when] = bench.variables(other)
        programs[RUN_IMPORTS] = f"{THEIRS['what run imports of others']}, {imported(now, directory)}"
        times = bench.measure(now, programs, bench.variables(directory), bench.rounds(), own, clock)
    good = bench.report(times, limits)
    for name in (*THEIRS, RUN_IMPORTS):
        starts(times, name)
    for name, (_, most) in COMMANDS.items():
        good &= starts(times, name, most)
        if f"{name}{BEFORE}" in times:
            starts(times, f"{name}{BEFORE}")
    return 0 if good else 1


def command(python: Path, name: str) -> list[str]:
    """Return what is measured, in an environment."""
    if name == RESULT:
        return [str(python), "-c", FIRST]
    return [str(python.with_name("anyjob")), *COMMANDS[name][0]]


def imported(python: Path, directory: Path) -> str:
    """Return which modules of ours `anyjob run` imports, by commas."""
    run = [str(python), "-X", "importtime", str(python.with_name("anyjob")), "run", "--", "true"]
    told = subprocess.run(
        run, check=True, capture_output=True, text=True, cwd=directory, env=bench.variables(directory)
    ).stderr
    names = [line.rpartition("|")[2].strip() for line in told.splitlines()]
    return ", ".join(name for name in names if name.startswith("anyjob"))


def starts(times: Mapping[str, list[float]], name: str, most: float | None = None) -> bool:
    """Print how many bare starts something takes; return whether that is within a limit."""
    ratios = [one / bare for one, bare in zip(times[name], times[bench.BARE], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    good = most is None or middle <= most
    limit = "" if most is None else f"; at most {most:g}"
    mark = "" if good else "   <- too slow"
    print(f"{name} takes {middle:.2f} bare starts ({low:.2f} to {high:.2f}{limit}){mark}")
    return good


if __name__ == "__main__":
    sys.exit(main())
