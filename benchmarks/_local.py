"""What the benchmarks of the `local` backend share: a backend of their own, and variants that take turns."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import _side_by_side as bench

WIDTH = 2
ENVIRONMENT = bench.ROOT / ".venv-bench-local"


@contextlib.contextmanager
def backend(directory: str, slots: int = WIDTH, **options: Any) -> Iterator[Any]:
    """A `local` backend with a state directory of its own below a directory, that leaves nothing running.

    Variants that take turns make one by ``tempfile.mkdtemp()``, and leave it: where many files have just
    gone, ext4 makes new ones at a tenth of its usual rate, which the next variant would pay for.
    """
    from anyjob import Config, Registry, Session
    from anyjob.builtin.local.backend import LocalBackend
    from anyjob.builtin.local.locks import lock_holder
    from anyjob.builtin.local.paths import RuntimePaths

    registry = Registry()
    registry.register_backend("local", LocalBackend)
    session = Session(Config.from_dict({}), registry, state=Path(directory, "state"))
    yield session.get_backend("local", slots=slots, **options)
    paths = RuntimePaths(Path(directory, "state"))
    session.close()
    while supervisor := lock_holder(paths.supervisor_lock):
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor, signal.SIGTERM)
        time.sleep(0.05)
    while lock_holder(paths.keeper_lock):
        time.sleep(0.05)


def spawn_each(argv: Sequence[str], count: int) -> None:
    """Run a program so many times, `WIDTH` at a time, as a loop without a scheduler would."""
    left, running = count, 0
    while left or running:
        while left and running < WIDTH:
            os.posix_spawn(argv[0], argv, os.environ)
            left, running = left - 1, running + 1
        os.wait()
        running -= 1


def supervisor_of(made: Any) -> int:
    """Return the pid of a backend's supervisor."""
    from anyjob.builtin.local.locks import lock_holder

    pid = lock_holder(made._paths.supervisor_lock)
    assert pid is not None
    return pid


def resident(pid: int) -> float:
    """Return the resident memory of a process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def take_turns(
    script: str, names: Sequence[str], rounds: int, peers: Sequence[str]
) -> dict[str, list[float]]:
    """Run variants of a script in fresh processes, in turns; return jobs a second, by name."""
    python = bench.environment(*peers, directory=ENVIRONMENT)
    rates: dict[str, list[float]] = {name: [] for name in names}
    environ = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as directory:  # what all of them leave goes at the end
        environ["TMPDIR"] = directory
        for _ in range(rounds):
            for name in names:
                said = subprocess.run(
                    [python, os.path.abspath(script), "--variant", name],
                    capture_output=True,
                    text=True,
                    timeout=600,
                    env=environ,
                    cwd=directory,
                )
                if said.returncode:
                    print(f"{name} is left out: {said.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                else:
                    rates[name].append(float(said.stdout.split()[-1]))
    return {name: values for name, values in rates.items() if len(values) == rounds}


def report(rates: dict[str, list[float]], own: str, targets: dict[str, float]) -> bool:
    """Print jobs a second, and the ratios of ours to the others, round by round; whether all are reached."""
    good = True
    for name, values in rates.items():
        print(f"{name:32} {statistics.median(values):7.0f} jobs/s  ({min(values):.0f} to {max(values):.0f})")
    print()
    for name, target in targets.items():
        if name not in rates:
            print(f"{name} is not available here")
            continue
        ratio = statistics.median(mine / other for mine, other in zip(rates[own], rates[name], strict=True))
        good &= ratio >= target
        missed = "" if ratio >= target else "   <- missed"
        print(f"{own} reaches {ratio:.2f} of {name} (at least {target:g}){missed}")
    return good


def variant() -> str | None:
    """Return the variant that this process is to run; None for the one that runs them all."""
    return sys.argv[2] if sys.argv[1:2] == ["--variant"] else None
