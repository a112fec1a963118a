"""How many commands a second the `local` backend runs, durably, next to a bare loop and to others.

1,000 `/bin/true`, two at a time. The variants take turns within each round, each in a process of its own;
what is compared is the median of the ratios within a round. The peers are installed in an environment of
their own; what they need to start is not counted. task-spooler is Debian's package of that name (`tsp`).

Usage: python benchmarks/local_commands.py [rounds]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import _local
import _side_by_side as bench

JOBS = 1000
PROGRAM = ["/bin/true"]
PEERS = ("ray", "parsl", "psij-python", "hyperqueue")
TARGETS = {
    "posix_spawn loop": 0.4,
    "ray": 1,
    "parsl htex": 1,
    "hyperqueue": 1,
    "task-spooler": 1,
    "psij local": 6,
}


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return JOBS / (time.perf_counter() - begun)


def loop() -> float:
    return timed(lambda: _local.spawn_each(PROGRAM, JOBS))


def anyjob_local() -> float:
    import anyjob
    from anyjob import Command

    with _local.backend(tempfile.mkdtemp()) as backend:
        backend.run(Command(PROGRAM)).result(60)
        return timed(lambda: anyjob.wait(backend.run_many([Command(PROGRAM)] * JOBS)))


def ray() -> float:
    import ray

    ray.init(num_cpus=_local.WIDTH, include_dashboard=False, log_to_driver=False)
    run = ray.remote(num_cpus=1)(subprocess.call)
    ray.get([run.remote(PROGRAM) for _ in range(10)])
    return timed(lambda: ray.get([run.remote(PROGRAM) for _ in range(JOBS)]))


def parsl_htex() -> float:
    import parsl
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    executor = HighThroughputExecutor(
        max_workers_per_node=_local.WIDTH,
        address="127.0.0.1",
        provider=LocalProvider(init_blocks=1, max_blocks=1),
    )
    with tempfile.TemporaryDirectory() as directory, parsl.load(Config([executor], run_dir=directory)):
        app = parsl.bash_app(lambda: "/bin/true")
        for future in [app() for _ in range(10)]:
            future.result()
        return timed(lambda: [future.result() for future in [app() for _ in range(JOBS)]])


def hyperqueue() -> float:
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=_local.WIDTH))
        client = cluster.client()

        def work(count: int) -> None:
            job = Job()
            for _ in range(count):
                job.program(PROGRAM)
            client.wait_for_jobs([client.submit(job)])

        work(10)
        return timed(lambda: work(JOBS))


def task_spooler() -> float:
    tsp = shutil.which("tsp") or sys.exit("tsp is not installed")
    with tempfile.TemporaryDirectory() as directory:
        environ = {
            **os.environ,
            "TS_SOCKET": directory + "/socket",
            "TMPDIR": directory,
            "TS_MAXFINISHED": "2000",
        }

        def say(*words: str) -> str:
            return subprocess.run(
                [tsp, *words], env=environ, check=True, capture_output=True, text=True
            ).stdout

        def work(count: int) -> None:
            ids = [say(*PROGRAM).strip() for _ in range(count)]
            for job in ids[-_local.WIDTH :]:
                say("-w", job)

        say("-S", str(_local.WIDTH))
        work(10)
        rate = timed(lambda: work(JOBS))
        say("-K")
    return rate


def psij_local() -> float:
    from psij import Job, JobExecutor, JobSpec

    executor = JobExecutor.get_instance("local")

    def work(count: int) -> None:
        jobs = [Job(JobSpec(executable=PROGRAM[0])) for _ in range(count)]
        for job in jobs:
            executor.submit(job)
        for job in jobs:
            job.wait()

    work(10)
    return timed(lambda: work(JOBS))


VARIANTS = {
    "posix_spawn loop": loop,
    "anyjob local": anyjob_local,
    "ray": ray,
    "parsl htex": parsl_htex,
    "hyperqueue": hyperqueue,
    "task-spooler": task_spooler,
    "psij local": psij_local,
}


def main() -> bool:
    rates = _local.take_turns(__file__, [*VARIANTS], bench.rounds(3), PEERS)
    return _local.report(rates, "anyjob local", TARGETS)


if __name__ == "__main__":
    if name := _local.variant():
        print(VARIANTS[name]())
    else:
        sys.exit(not main())
