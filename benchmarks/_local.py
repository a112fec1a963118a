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
    script: str,
    names: Sequence[str],
    rounds: int,
    peers: Sequence[str],
    spent: dict[str, list[float]] | None = None,
) -> dict[str, list[float]]:
    """Run variants of a script in fresh processes, in turns; return jobs a second, by name.

    What they print before that, microseconds of a processor for a job, goes into ``spent``.
    """
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
                    *before, rate = said.stdout.split()
                    rates[name].append(float(rate))
                    if spent is not None:
                        spent.setdefault(name, []).append(float(before[-1]))
    for group in Path("/sys/fs/cgroup").glob("**/anyjob-benchmark-*"):
        with contextlib.suppress(OSError):  # something is in it still
            group.rmdir()
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


class ProcessorTime:
    """What this process, and all that are started from now on, use of the processors.

    It takes a control group of cpuacct, or of the second version, that this process may make.
    """

    def __init__(self) -> None:
        self._usage: Path | None = None
        for root, usage in (("cpuacct", "cpuacct.usage"), ("", "cpu.stat"), ("unified", "cpu.stat")):
            group = Path("/sys/fs/cgroup", root, f"anyjob-benchmark-{os.getpid()}")
            with contextlib.suppress(OSError):
                group.mkdir()
                (group / "cgroup.procs").write_text(str(os.getpid()))
                if (group / usage).exists():
                    self._usage = group / usage
                    return

    def microseconds(self) -> float:
        """Return how much that is so far; not a number where it cannot be told."""
        if self._usage is None:
            return float("nan")
        said = self._usage.read_text().split()
        return float(said[1]) if len(said) > 1 else float(said[0]) / 1000


def variant() -> str | None:
    """Return the variant that this process is to run; None for the one that runs them all."""
    return sys.argv[2] if sys.argv[1:2] == ["--variant"] else None
