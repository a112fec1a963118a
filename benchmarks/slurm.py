"""How long 500 trivial jobs take on a Slurm cluster, and how often Slurm's programs are called meanwhile.

From submit to last result. anyjob is compared with submitit's `map_array` for calls and with PSI/J for
programs, one Slurm job a task, and all with a bare job array whose end `squeue` is asked for every second.
The variants take turns within a round. Calls of Slurm's programs are counted by wrappers on PATH; those that
a job makes on its node (submitit's `srun`) are not counted. Targets: anyjob is the fastest, and makes at most
a third of the calls.

Usage (as root, which may start a cluster): scripts/slurm-up; python benchmarks/slurm.py [jobs] [rounds]
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import _side_by_side as bench

PROGRAMS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo", "srun", "sstat", "sacctmgr")
FEWER = 1 / 3

ANYJOB = """
import sys, time
from anyjob import Command, Config, Session
count, place, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]
config = Config.from_dict({"backends": {"hpc": {"type": "slurm", "spool": place + "/spool"}}})
with Session(config, state=place + "/state") as session:
    backend = session.get_backend("hpc")
    begun = time.perf_counter()
    if kind == "calls":
        jobs = backend.map(abs, range(-count, 0))
        assert [job.result() for job in jobs] == list(range(count, 0, -1))
    else:
        jobs = backend.run_many([Command(["true"])] * count)
        assert {job.result().exit_code for job in jobs} == {0}
    print(time.perf_counter() - begun)
"""
SUBMITIT = """
import sys, time
import submitit
count, place = int(sys.argv[1]), sys.argv[2]
executor = submitit.AutoExecutor(folder=place + "/log", cluster="slurm")
executor.update_parameters(timeout_min=10, slurm_array_parallelism=count)
begun = time.perf_counter()
jobs = executor.map_array(abs, range(-count, 0))
assert [job.result() for job in jobs] == list(range(count, 0, -1))
print(time.perf_counter() - begun)
"""
PSIJ = """
import sys, time
from psij import Job, JobExecutor, JobExecutorConfig, JobSpec
from pathlib import Path
count, place = int(sys.argv[1]), sys.argv[2]
executor = JobExecutor.get_instance("slurm", config=JobExecutorConfig(work_directory=Path(place)))
begun = time.perf_counter()
jobs = [Job(JobSpec(executable="true")) for _ in range(count)]
for job in jobs:
    executor.submit(job)
assert {job.wait().state.name for job in jobs} == {"COMPLETED"}
print(time.perf_counter() - begun, flush=True)
import os; os._exit(0)  # its threads do not end by themselves
"""
BARE = """
import subprocess, sys, time
count = int(sys.argv[1])
begun = time.perf_counter()
sbatch = ["sbatch", "--parsable", "--output=/dev/null", f"--array=0-{count - 1}", "--wrap=true"]
job = subprocess.run(sbatch, check=True, capture_output=True, text=True).stdout.strip()
while subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True).stdout.strip():
    time.sleep(1)
print(time.perf_counter() - begun)
"""
VARIANTS = {
    "bare array": (BARE, ()),
    "anyjob, calls": (ANYJOB, ("calls",)),
    "submitit map_array": (SUBMITIT, ()),
    "anyjob, programs": (ANYJOB, ("programs",)),
    "PSI/J": (PSIJ, ()),
}
RIVALS = {"anyjob, calls": "submitit map_array", "anyjob, programs": "PSI/J"}


def peers() -> Path:
    """Make the environment of the measured programs; returns its interpreter."""
    python = bench.environment("submitit", "psij-python", directory=bench.ROOT / ".venv-bench-slurm")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    plugin = str(bench.ROOT / "plugins" / "anyjob-slurm")
    subprocess.run([*pip, "hatchling"], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", "--no-build-isolation", plugin], check=True)
    return python


def wrappers(directory: Path) -> Path:
    """Lay programs into a directory that note that they were called, and call the real ones."""
    log = directory / "calls"
    directory.mkdir()
    for name in PROGRAMS:
        if (real := shutil.which(name)) is not None:
            path = directory / name
            path.write_text(f'#!/bin/sh\necho {name} >> {log}\nexec {real} "$@"\n')
            path.chmod(0o755)
    return log


def measure(python: Path, program: str, arguments: tuple[str, ...], jobs: int) -> tuple[float, Counter[str]]:
    """Run one variant; returns seconds, and the calls of each of Slurm's programs.

    What a job itself calls on its node (submitit's `srun`) is not counted: PATH is the login node's.
    """
    with tempfile.TemporaryDirectory(prefix="bench-slurm-") as place:
        log = wrappers(Path(place, "bin"))
        environ = bench.variables(Path(place), PATH=f"{log.parent}{os.pathsep}{os.environ['PATH']}")
        command = [python, "-c", program, str(jobs), place, *arguments]
        done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True, cwd=place)
        calls = Counter(log.read_text().split())
        calls.pop("srun", None)
        idle()
    return float(done.stdout.split()[-1]), calls


def idle() -> None:
    """Wait until nothing of what was measured is left in the queue."""
    while subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout.strip():
        subprocess.run(["sleep", "0.2"], check=True)


def main() -> bool:
    if shutil.which("sbatch") is None:
        sys.exit("there is no sbatch here: scripts/slurm-up starts a cluster (as root)")
    jobs = bench.rounds(500)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    python = peers()
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    calls: dict[str, Counter[str]] = {}
    for _ in range(rounds):
        for name, (program, arguments) in VARIANTS.items():
            seconds, counted = measure(python, program, arguments, jobs)
            times[name].append(seconds)
            calls[name] = max(calls.get(name, Counter()), counted, key=Counter.total)
    width = max(map(len, VARIANTS))
    print(f"{jobs} jobs, {rounds} rounds\n{'':{width}}  median s   calls of Slurm's programs, at most")
    for name in VARIANTS:
        told = f"{sum(calls[name].values())}  {json.dumps(calls[name])}"
        print(f"{name:{width}}  {statistics.median(times[name]):8.1f}   {told}")
    good = True
    for name, rival in RIVALS.items():
        ratio = statistics.median(a / b for a, b in zip(times[name], times[rival], strict=True))
        fewer = sum(calls[name].values()) / sum(calls[rival].values())
        good &= ratio < 1 and fewer <= FEWER
        print(f"{name}: {ratio:.2f} of the time of {rival} (must be below 1),")
        print(f"    {fewer:.3f} of its calls (at most {FEWER:.2f})")
    return good


if __name__ == "__main__":
    sys.exit(not main())
