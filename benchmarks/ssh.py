"""What a request and a handing over cost over a channel to another machine.

Beside a new `ssh`, one over a master, and `local` without any. A real sshd of our own listens on the
loopback interface, as in the plugin's tests. The variants take turns within a round, and medians are
printed. Targets: a request takes at most 1/100 of a new ssh, and 1/50 of one over a master; commands are
handed over in at most 1.5 times the time that the same takes on `local`.

Usage: scripts/plugin-venv plugins/anyjob-ssh
       .venv-plugins/anyjob-ssh/bin/python benchmarks/ssh.py [--jobs 10000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins" / "anyjob-ssh" / "tests"))

import ssh_lab

import anyjob

REQUESTS = 50
"""Requests, one after the other, of which the mean is taken."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anyjob-ssh-") as directory:
        return measure(Path(directory), given.jobs, given.rounds)


def measure(directory: Path, jobs: int, rounds: int) -> int:
    """Measure all, and print it; return whether a target is missed."""
    server = ssh_lab.Server(directory / "far")
    os.environ["XDG_RUNTIME_DIR"] = server.runtime
    far = {"type": "ssh", **server.options()}
    config = anyjob.Config.from_dict(
        {"backends": {"far": far, "here": {"type": "local", "slots": ssh_lab.SLOTS}}}, origin="benchmark"
    )
    ssh = ["ssh", "-F", str(server.config)]
    master = [*ssh, "-o", f"ControlPath={server.runtime}/m"]
    subprocess.run([*master, "-fNM", "lab"], check=True)
    took: dict[str, list[float]] = defaultdict(list)
    try:
        with anyjob.Session(config=config, state=directory / "near") as session:
            backend = session.get_backend("far")
            command = anyjob.Command(["true"])
            known = [backend.run(command), session.get_backend("here").run(command)]
            anyjob.wait(known, 60)
            for _ in range(rounds):
                took["a new ssh"].append(timed(lambda: run([*ssh, "lab", "true"])))
                took["ssh over a master"].append(timed(lambda: run([*master, "lab", "true"])))
                took["a request"].append(
                    timed(lambda: [backend.find([known[0].job_id()]) for _ in range(REQUESTS)]) / REQUESTS
                )
            for _ in range(min(rounds, 3)):
                for name in ("here", "far"):
                    made: list[anyjob.TaskJob] = []
                    to = session.get_backend(name)
                    took[f"{jobs:,} commands to {name}"].append(
                        timed(lambda to=to, made=made: made.extend(to.run_many([command] * jobs)))
                    )
                    to.cancel_many(made)
                    anyjob.wait(made, 600)
    finally:
        subprocess.run([*master, "-O", "exit", "lab"], capture_output=True)
        server.close()
    middle = {what: statistics.median(times) for what, times in took.items()}
    for what, seconds in middle.items():
        print(f"{what}: {seconds * 1000:,.2f} ms")
    request, here, there = (
        middle["a request"],
        *(middle[f"{jobs:,} commands to {it}"] for it in ("here", "far")),
    )
    ratios = {
        "a new ssh, in requests (100 or more)": (middle["a new ssh"] / request, 100.0),
        "ssh over a master, in requests (50 or more)": (middle["ssh over a master"] / request, 50.0),
        "handing over here, of that there (0.67 or more)": (here / there, 1 / 1.5),
    }
    for what, (ratio, least) in ratios.items():
        print(f"{what}: {ratio:.2f}{'' if ratio >= least else ', MISSED'}")
    return sum(ratio < least for ratio, least in ratios.values())


def timed(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
