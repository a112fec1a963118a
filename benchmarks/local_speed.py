"""What single submissions, cancels and an event loop cost on `local`, next to an earlier build.

- 200 single `run` calls, next to one `map` of 200, until all have ended;
- 20,000 queued jobs cancelled by ``cancel_many``, and 2,000 by one ``cancel()`` after the other, next to
  the earlier build;
- 500 `run_in_executor`, by how long they hold the event loop, next to `processes`.

Variants take turns, each in a program of its own; ratios within one round are compared.

Usage: python benchmarks/local_speed.py [rounds] CHECKOUT-OF-THE-EARLIER-BUILD
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _local
import _side_by_side as bench

RUNS, CANCELLED, SINGLE_CANCELS, SUBMITTED = 200, 20_000, 2000, 500
CANCELS = ["cancel_many", "cancel one by one"]
VARIANTS = ["runs", "map", *CANCELS, "loop", "loop on processes"]


def runs(backend: Any) -> float:
    from anyjob import Call

    start = time.perf_counter()
    for job in [backend.run(Call(abs, (number,))) for number in range(RUNS)]:
        job.result()
    return time.perf_counter() - start


def mapped(backend: Any) -> float:
    start = time.perf_counter()
    for job in backend.map(abs, range(RUNS)):
        job.result()
    return time.perf_counter() - start


def cancel(backend: Any, how: str) -> float:
    from anyjob import Command

    gate = backend.run(Command(["sleep", "1000"]))
    while not gate.running():
        time.sleep(0.01)
    jobs = backend.map(abs, range(CANCELLED if how == "cancel_many" else SINGLE_CANCELS))
    start = time.perf_counter()
    if how == "cancel_many":
        backend.cancel_many(jobs)
    else:
        for job in jobs:
            job.cancel()
    took = time.perf_counter() - start
    for job in jobs:  # some were with the keeper, which ends them by and by
        job.wait_for_final_state()
    assert all(job.cancelled() for job in jobs)
    gate.cancel()
    return took


def loop(backend: Any) -> float:
    from anyjob import Executor

    executor = Executor(backend)

    async def submit() -> float:
        running = asyncio.get_running_loop()
        start = time.perf_counter()
        futures = [running.run_in_executor(executor, abs, number) for number in range(SUBMITTED)]
        held = time.perf_counter() - start
        await asyncio.gather(*futures)
        return held

    return asyncio.run(submit())


def run_variant(name: str) -> float:
    from anyjob import Call, Config, Registry, Session

    if name == "loop on processes":
        config = Config.from_dict(
            {"backends": {"p": {"type": "processes", "slots": 2}}}, origin="a benchmark"
        )
        with Session(config=config, registry=Registry()) as session:
            backend = session.get_backend("p")
            backend.run(Call(abs, (1,))).result()
            return loop(backend)
    with _local.backend(tempfile.mkdtemp(), slots=1 if name in CANCELS else 2) as backend:
        backend.run(Call(abs, (1,))).result()  # the daemons run, and so does the zygote
        if name in CANCELS:
            return cancel(backend, name)
        return {"runs": runs, "map": mapped, "loop": loop}[name](backend)


def main() -> int:
    rounds = bench.rounds(7)
    before = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    builds = {"now": bench.ROOT, **({"before": before} if before else {})}
    times: dict[tuple[str, str], list[float]] = {(b, name): [] for name in VARIANTS for b in builds}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(rounds):
            for build, name in times:
                environ = {**os.environ, "TMPDIR": directory, "PYTHONPATH": f"{builds[build]}/src"}
                command = [sys.executable, __file__, "--variant", name]
                said = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600)
                if said.returncode:
                    raise SystemExit(f"{name}, {build}: {said.stderr}")
                times[build, name].append(float(said.stdout))
    for (build, name), values in times.items():
        print(f"{name:18} {build:7} {statistics.median(values) * 1000:9.0f} ms")
    print()

    def ratio(one: tuple[str, str], other: tuple[str, str]) -> float:
        return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))

    good = True
    for what, one, other, limit in (
        (f"{RUNS} runs to a map of {RUNS}", ("now", "runs"), ("now", "map"), 4.0),
        ("the same before", ("before", "runs"), ("before", "map"), None),
        (f"{CANCELLED} cancelled, to before", ("now", "cancel_many"), ("before", "cancel_many"), 0.1),
        (f"{SINGLE_CANCELS} one by one, to before", ("now", CANCELS[1]), ("before", CANCELS[1]), None),
        (f"{SUBMITTED} in a loop, to processes", ("now", "loop"), ("now", "loop on processes"), 1.0),
        ("the same before", ("before", "loop"), ("before", "loop on processes"), None),
    ):
        if one not in times or other not in times:
            continue
        found = ratio(one, other)
        good &= limit is None or found <= limit
        mark = "" if limit is None else f"   (at most {limit:g})" + ("" if found <= limit else "   <- missed")
        print(f"{what:32} {found:7.2f}{mark}")
    return 0 if good else 1


if __name__ == "__main__":
    if _local.variant() is not None:
        print(run_variant(str(_local.variant())))
    else:
        sys.exit(main())
