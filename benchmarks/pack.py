"""At which rate a Slurm cluster makes short calls: each a job of Slurm's, or many in one allocation (`pack`).

From submit to last result: 300 calls of 10 ms by themselves, and 2,000 with ``pack = 64``, in turns.
Target: 20 times the rate, on two nodes.

Usage (as root, which may start a cluster): scripts/slurm-up; python benchmarks/pack.py [rounds]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import _side_by_side as bench

CALLS = """
import sys, time
from anyjob import Config, Session
count, pack, place = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
config = Config.from_dict({"backends": {"hpc": {"type": "slurm", "spool": place + "/spool"}}})
with Session(config, state=place + "/state") as session:
    backend = session.get_backend("hpc")
    begun, cpu = time.perf_counter(), time.process_time()
    jobs = backend.map(time.sleep, [0.01] * count, options={"slurm": {"pack": pack}})
    handed = time.perf_counter()
    assert [job.result() for job in jobs] == [None] * count
    now = time.perf_counter()
    print(now - begun, handed - begun, time.process_time() - cpu)
"""
VARIANTS = {"each by itself": (300, 1), "64 in an allocation": (2000, 64)}
TIMES = 20
"""How many times the rate is to be had."""


def measure(count: int, pack: int) -> list[float]:
    """Return the seconds until the last result, until all was handed over, and of the client's CPU."""
    with tempfile.TemporaryDirectory(prefix="bench-pack-") as place:
        command = [sys.executable, "-c", CALLS, str(count), str(pack), place]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[1:])}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=place, env=environ)
        while subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout.strip():
            subprocess.run(["sleep", "0.2"], check=True)
        return list(map(float, done.stdout.split()))


def main() -> bool:
    if shutil.which("sbatch") is None:
        sys.exit("there is no sbatch here: scripts/slurm-up starts a cluster (as root)")
    found: dict[str, list[list[float]]] = {name: [] for name in VARIANTS}
    for _ in range(bench.rounds(3)):
        for name, (count, pack) in VARIANTS.items():
            found[name].append(measure(count, pack))
    rates = {}
    for name, (count, _) in VARIANTS.items():
        whole, handed, cpu = (statistics.median(each) for each in zip(*found[name], strict=True))
        rates[name] = count / whole
        print(f"{name:20} {count:5} calls: {whole:6.1f} s, {count / whole:6.1f}/s; ", end="")
        print(f"handed over in {handed:.2f} s; {1000 * cpu / count:.2f} ms of the client's CPU a call")
    alone, packed = rates.values()
    print(f"{packed / alone:.1f} times the rate (at least {TIMES})")
    return packed / alone >= TIMES


if __name__ == "__main__":
    sys.exit(not main())
