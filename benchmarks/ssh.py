"""What requests, handing over and large files cost over a channel to another machine.

Beside a new `ssh`, one over a master, `local` without any, and `scp`. A real sshd of our own listens on the
loopback interface, as in the plugin's tests; `late` is one that each byte reaches 20 ms later, in both
directions. The variants take turns within a round, and medians are printed: of requests, and of what they are
compared with, that of single ones, since one that waits for something else counts once so. Targets: a request
takes at most 1/100 of a new ssh, and 1/50 of one over a master; commands are handed over in at most 1.5 times
the time that the same takes on `local`, and in 0.3 s more where all is late; a file takes at most 1.3 of scp
each way.

Usage: scripts/plugin-venv plugins/anyjob-ssh
       .venv-plugins/anyjob-ssh/bin/python benchmarks/ssh.py [--jobs 10000] [--rounds 5] [--megabytes 500]
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

import psutil
import ssh_lab

import anyjob

LATE = 0.02
"""Seconds that a byte takes to the machine that is called late, and back."""
REQUESTS = 50
"""Requests of a round, one after the other."""
MASTERED = 5
"""Times of a round that `ssh` is run over a master."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anyjob-ssh-") as directory:
        return measure(Path(directory), given.jobs, given.rounds, given.megabytes)


def measure(directory: Path, jobs: int, rounds: int, megabytes: int) -> int:
    """Measure all, and print it; return whether a target is missed."""
    server = ssh_lab.Server(directory / "far")
    os.environ["XDG_RUNTIME_DIR"] = server.runtime
    far = {"type": "ssh", **server.options()}
    proxy = f"{sys.executable} {Path(__file__).with_name('_delayed.py')} {LATE} %h %p"
    late = {**far, "ssh_options": [f"ProxyCommand={proxy}"]}
    here = {"type": "local", "slots": ssh_lab.SLOTS}
    config = anyjob.Config.from_dict(
        {"backends": {"far": far, "late": late, "here": here}}, origin="benchmark"
    )
    ssh = ["ssh", "-F", str(server.config)]
    master = [*ssh, "-o", f"ControlPath={server.runtime}/m"]
    subprocess.run([*master, "-fNM", "lab"], check=True)
    took: dict[str, list[float]] = defaultdict(list)
    try:
        with anyjob.Session(config=config, state=directory / "near") as session:
            backend = session.get_backend("far")
            command = anyjob.Command(["true"])
            known = [session.get_backend(name).run(command) for name in ("far", "here", "late")]
            anyjob.wait(known, 60)
            echo = Echo([*ssh, "-T", "lab", "cat"])
            for _ in range(rounds):
                took["a new ssh"].append(timed(lambda: run([*ssh, "lab", "true"])))
                for what, times, do in (
                    ("ssh over a master", MASTERED, lambda: run([*master, "lab", "true"])),
                    ("a byte there and back, by cat", REQUESTS, echo.ask),
                    ("a request", REQUESTS, lambda: backend.find([known[0].job_id()])),
                ):
                    took[what] += [timed(do) for _ in range(times)]
            for _ in range(min(rounds, 3)):
                for name in ("here", "far", "late"):
                    made: list[anyjob.TaskJob] = []
                    to = session.get_backend(name)
                    there = of_processor(to.hello().pid) if name == "far" else 0.0
                    own = time.process_time()
                    took[f"{jobs:,} commands to {name}"].append(
                        timed(lambda to=to, made=made: made.extend(to.run_many([command] * jobs)))
                    )
                    took[f"of that of a processor, this side, to {name}"].append(time.process_time() - own)
                    if name == "far":
                        spent = of_processor(to.hello().pid) - there
                        took[f"of that of a processor, the other side, to {name}"].append(spent)
                    to.cancel_many(made)
                    anyjob.wait(made, 600)
            echo.close()
            for _ in range(min(rounds, 3)):
                transfer(backend, directory, megabytes, took, ["scp", "-O", "-q", "-F", str(server.config)])
    finally:
        subprocess.run([*master, "-O", "exit", "lab"], capture_output=True)
        server.close()
    middle = {what: statistics.median(times) for what, times in took.items()}
    for what, seconds in middle.items():
        print(f"{what}: {seconds * 1000:,.2f} ms")
    request, master = middle["a request"], middle["ssh over a master"]
    here, far, late_too = (middle[f"{jobs:,} commands to {it}"] for it in ("here", "far", "late"))
    there, back = (middle[f"scp {way}"] / middle[f"a file {way}"] for way in ("there", "back"))
    ratios = {
        "a new ssh, in requests (100 or more)": (middle["a new ssh"] / request, 100.0),
        "ssh over a master, in requests (50 or more)": (master / request, 50.0),
        "handing over here, of that there (0.67 or more)": (here / far, 1 / 1.5),
        "0.3 s, of what lateness costs (1 or more)": (0.3 / max(late_too - far, 1e-3), 1.0),
        "scp there, of a file that goes with a job (0.77 or more)": (there, 1 / 1.3),
        "scp back, of a file that is fetched (0.77 or more)": (back, 1 / 1.3),
    }
    for what, (ratio, least) in ratios.items():
        print(f"{what}: {ratio:.2f}{'' if ratio >= least else ', MISSED'}")
    return sum(ratio < least for ratio, least in ratios.values())


class Echo:
    """What comes back byte for byte, over a connection of its own: the least that a request can take."""

    def __init__(self, command: list[str]) -> None:
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.ask()

    def ask(self) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(b".")
        self._child.stdout.read(1)

    def close(self) -> None:
        self._child.kill()
        self._child.communicate()


def transfer(
    backend: anyjob.BaseBackend, directory: Path, megabytes: int, took: dict[str, list[float]], scp: list[str]
) -> None:
    """Bring a file there and back, by scp and with a job."""
    source, copy, back = directory / "source", directory / "copy", directory / "back"
    with source.open("wb") as stream:
        for _ in range(megabytes):
            stream.write(os.urandom(1 << 20))
    took["scp there"].append(timed(lambda: run([*scp, str(source), f"lab:{copy}"])))
    took["scp back"].append(timed(lambda: run([*scp, f"lab:{copy}", str(back)])))
    same = anyjob.Command(["cmp", "-", str(copy)], stdin=anyjob.File(str(source)))
    made: list[anyjob.TaskJob] = []
    took["a file there"].append(timed(lambda: made.append(backend.run(same))))
    made[0].result(600)
    left = backend.run(anyjob.Command(["sh", "-c", f'cp {copy} "$ANYJOB_SPOOL/copy"']))
    left.result(600)
    fetched = directory / "fetched"
    took["a file back"].append(timed(lambda: left.fetch("$ANYJOB_SPOOL/copy", into=fetched)))
    run(["cmp", str(fetched / "copy"), str(source)])
    for path in (source, copy, back, fetched / "copy"):
        path.unlink()


def of_processor(pid: int) -> float:
    """Return how many seconds of a processor a process has had."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def timed(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
