"""Kill workers of a Ray, and cancel jobs, again and again, while short calls are made; account for every job.

No call may be made twice, none be lost, and each must end as it did: DONE only where it was made and not
cancelled, CANCELLED only where it was, ``signal`` only where a worker was killed.

Usage: .venv-plugins/anyjob-ray/bin/python plugins/anyjob-ray/tests/ray_soak.py [--kills 100] [--seed 1]
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import ray_lab
import ray_work

from anyjob import Config, Session
from anyjob.job import JobStatus

CALLS = 400
PATIENCE = 120.0


class Killer(threading.Thread):
    """Kills a worker that makes calls, now and then, until it is told to stop."""

    def __init__(self, cluster: ray_lab.Cluster, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self._chance = chance
        self.stopped = threading.Event()
        self.kills = 0

    def run(self) -> None:
        while not self.stopped.wait(self._chance.uniform(0.05, 0.6)):
            workers = self._cluster.workers("ray::run")
            if workers:
                self.kills += self._cluster.kill(self._chance.choice(workers))


def launch(backend: Any, notes: Path, chance: random.Random) -> tuple[Counter[str], list[str]]:
    """Have calls made, some of them cancelled; return how they ended, and what is wrong with that."""
    jobs = backend.map(ray_work.brief, [str(notes)] * CALLS, range(CALLS))
    cancelled: set[int] = set()
    for moment in range(chance.randrange(40)):
        jobs[moment].outcome(PATIENCE)
        some = chance.sample(range(CALLS), 2)
        accepted = backend.cancel_many([jobs[number] for number in some])
        cancelled.update(number for number, is_accepted in zip(some, accepted, strict=True) if is_accepted)
    outcomes = [job.outcome(PATIENCE) for job in jobs]
    made = Counter(int(line) for line in notes.read_text().split())
    wrong = [f"call {number} was made {times} times" for number, times in made.items() if times > 1]
    for number, outcome in enumerate(outcomes):
        ended = outcome.reason or outcome.status.name
        fitting = {
            "DONE": bool(made[number]) and number not in cancelled,
            "CANCELLED": number in cancelled,
            "signal": outcome.status is JobStatus.ERROR,
        }
        if not fitting.get(ended, False):
            wrong.append(f"call {number} ended as {outcome}")
    return Counter(outcome.reason or outcome.status.name for outcome in outcomes), wrong


def soak(cluster: ray_lab.Cluster, mode: str, kills: int, chance: random.Random) -> list[str]:
    """Go on until so many workers were killed; return what was wrong."""
    table = {"type": "ray", "address": cluster.address, "mode": mode}
    killer = Killer(cluster, chance)
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    with (
        tempfile.TemporaryDirectory() as state,
        Session(Config.from_dict({"backends": {"cluster": table}}), state=Path(state) / "state") as session,
    ):
        backend = session.get_backend("cluster")
        killer.start()
        while killer.kills < kills and not wrong:
            found, wrong = launch(backend, Path(tempfile.mkstemp(dir=state)[1]), chance)
            ends += found
        killer.stopped.set()
        killer.join()
    print(f"{mode}: {killer.kills} workers killed; {ends.total()} calls: {dict(ends)}", flush=True)
    if ends["signal"] > killer.kills:
        wrong.append(f"{ends['signal']} calls ended with a worker, and {killer.kills} were killed")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="how many workers are killed in each mode")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.environ.update(ray_lab.environment())
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    chance = random.Random(given.seed)
    cluster = ray_lab.Cluster()
    try:
        import ray

        ray.init(cluster.address, log_to_driver=False, configure_logging=False, logging_level="ERROR")
        wrong = [line for mode in ("fast", "durable") for line in soak(cluster, mode, given.kills, chance)]
        ray.shutdown()
    finally:
        cluster.stop()
    print("\n".join(wrong[:50]) or "all is accounted for")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
