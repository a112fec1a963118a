"""How long 5,000 programs take to hand over to Grid Engine, and how many `qsub` that makes.

Beside a bare `qsub` of an array of 5,000, and beside 5,000 directories with a small file each, which each job
has when it has started. They are held, so that none runs, and are deleted after it. Target: one `qsub`, in
0.5 s. Then 300 programs are run to their end, once, and beside them a bare array of as many.

Usage (as root, which may start a cluster): scripts/gridengine-up; python benchmarks/gridengine.py [rounds]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _side_by_side as bench

JOBS = 5000
RUN = 300
LIMIT = 0.5
"""Seconds."""
ANYJOB = """
import sys, time
from anyjob import Command, Config, Session
count, place = int(sys.argv[1]), sys.argv[2]
said = {"type": "gridengine", "spool": place + "/spool", "programs": place + "/bin"}
said["extra"] = ["-a", "203001010000"]
with Session(Config.from_dict({"backends": {"ge": said}}), state=place + "/state") as session:
    backend = session.get_backend("ge")
    work = [Command(["true"])] * count
    begun, cpu = time.perf_counter(), time.process_time()
    jobs = backend.run_many(work)
    print(time.perf_counter() - begun, time.process_time() - cpu)
    print(jobs[0].native_id())
"""


RAN = """
import sys, time
from anyjob import Command, Config, Session, wait
said = {"type": "gridengine", "spool": sys.argv[2] + "/spool"}
with Session(Config.from_dict({"backends": {"ge": said}}), state=sys.argv[2] + "/state") as session:
    backend = session.get_backend("ge")
    begun = time.perf_counter()
    wait(backend.run_many([Command(["true"])] * int(sys.argv[1])))
    print(time.perf_counter() - begun)
"""


def ran() -> tuple[float, float]:
    """Return the seconds in which programs were run to their end, by anyjob and by a bare array."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[1:])}
    with tempfile.TemporaryDirectory(prefix="bench-ge-") as place:
        command = [sys.executable, "-c", RAN, str(RUN), place]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environ)
    command = ["qsub", "-sync", "y", "-S", "/bin/bash", "-o", "/dev/null", "-j", "y", "-t", f"1-{RUN}"]
    begun = time.perf_counter()
    subprocess.run(command, check=True, input="true\n", stdout=subprocess.DEVNULL, text=True)
    return float(done.stdout), time.perf_counter() - begun


def anyjob(place: Path) -> tuple[float, float, int]:
    """Return seconds, those of the client's CPU, and the calls of `qsub`."""
    (place / "bin").mkdir()
    for name in ("qsub", "qstat", "qacct", "qdel"):
        path = place / "bin" / name
        real = shutil.which(name)
        path.write_text(f'#!/bin/sh\necho {name} >> {place}/calls\nexec {real} "$@"\n')
        path.chmod(0o755)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[1:])}
    command = [sys.executable, "-c", ANYJOB, str(JOBS), str(place)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=place, env=environ)
    seconds, cpu, job = done.stdout.split()
    subprocess.run(["qdel", job.partition(".")[0]], check=True, stdout=subprocess.DEVNULL)
    return float(seconds), float(cpu), (place / "calls").read_text().split().count("qsub")


def bare() -> float:
    """Return the seconds of a bare `qsub`."""
    command = ["qsub", "-terse", "-a", "203001010000", "-o", "/dev/null", "-j", "y", "-t", f"1-{JOBS}"]
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, input="true\n", stdout=subprocess.PIPE, text=True)
    taken = time.perf_counter() - begun
    subprocess.run(["qdel", done.stdout.partition(".")[0]], check=True, stdout=subprocess.DEVNULL)
    return taken


def directories(place: Path) -> float:
    """Return the seconds that as many directories with a file each take."""
    begun = time.perf_counter()
    for number in range(JOBS):
        directory = f"{place}/{number}"
        os.mkdir(directory, 0o700)
        descriptor = os.open(f"{directory}/work", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, b"0" * 600)
        os.close(descriptor)
    return time.perf_counter() - begun


def main() -> bool:
    if shutil.which("qsub") is None:
        sys.exit("there is no qsub here: scripts/gridengine-up starts a cluster (as root)")
    found = []
    for _ in range(bench.rounds(3)):
        with tempfile.TemporaryDirectory(prefix="bench-ge-") as place:
            measured = (*anyjob(Path(place)), bare())
        with tempfile.TemporaryDirectory(prefix="bench-ge-") as place:
            found.append((*measured, directories(Path(place))))
    seconds, cpu, calls, alone, files = (statistics.median(each) for each in zip(*found, strict=True))
    print(f"{JOBS} programs handed over in {seconds:.2f} s, by {calls} qsub; a bare qsub takes {alone:.2f} s")
    print(f"{JOBS} directories with a file each take {files:.2f} s by themselves")
    print(f"{1000 * cpu / JOBS:.2f} ms of the client's CPU a job")
    ours, array = ran()
    print(f"{RUN} programs run to their end in {ours:.1f} s; a bare array of as many in {array:.1f} s")
    return seconds <= LIMIT and calls == 1


if __name__ == "__main__":
    sys.exit(not main())
