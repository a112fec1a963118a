"""Runs many seeds, on all processors, and shows the schedule of one that fails, with as few faults as do it.

python tests/simulation/run.py                 for an hour
python tests/simulation/run.py --runs 2000     so many
python tests/simulation/run.py --seed 4711     one, with its schedule
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation import faults
from simulation.world import World

CHUNK = 20


def run_seed(seed: int, planned: list[faults.Fault] | None = None) -> list[str]:
    """Run a seed; return what did not hold."""
    return World(seed, planned).run()


def run_chunk(first: int) -> list[tuple[int, list[str]]]:
    """Run some seeds; return those that failed."""
    gc.disable()
    failed = [(seed, found) for seed in range(first, first + CHUNK) if (found := run_seed(seed))]
    gc.collect()
    return failed


def shrink(seed: int) -> list[faults.Fault]:
    """Return as few faults as have the seed fail."""
    planned = faults.draw(seed)
    for fault in list(planned):
        fewer = [other for other in planned if other is not fault]
        if run_seed(seed, fewer):
            planned = fewer
    return planned


def explain(seed: int, planned: list[faults.Fault] | None = None) -> bool:
    """Show the schedule of a seed; return whether all held."""
    world = World(seed, planned, traced=True)
    found = world.run()
    started = world.machine.trace[0][0] if world.machine.trace else 0.0
    for at, step, who, what in world.machine.trace or ():
        print(f"{at - started:10.4f} {step:6} {who:16} {_readable(world, what)}")
    print(f"seed {seed}: {world.machine.steps} steps; faults: {'; '.join(map(str, world.planned)) or 'none'}")
    for what in found:
        print(f"DID NOT HOLD: {_readable(world, what)}")
    return not found


def _readable(world: World, text: str) -> str:
    """Leave out what differs from run to run: names of temporary directories."""
    text = text.replace(str(world.root), "").replace(world.root.name, "")
    return re.sub(r"\b[0-9a-f]{12}(?=/(?:supervisor|keeper)\.sock| 448)", "runtime", text)


def run_many(runs: int | None, seconds: float, first: int = 0) -> list[tuple[int, list[str]]]:
    """Run seeds until there are enough, or time is up; return those that failed."""
    end = time.monotonic() + seconds
    failed: list[tuple[int, list[str]]] = []
    chunks = count(first, CHUNK) if runs is None else iter(range(first, first + runs, CHUNK))
    workers = len(os.sched_getaffinity(0))
    done = 0
    with ProcessPoolExecutor(workers) as pool:
        waiting = [pool.submit(run_chunk, number) for number in islice(chunks, 2 * workers)]
        while waiting:
            for seed, found in waiting.pop(0).result():
                print(f"seed {seed}: {found[0].strip().splitlines()[-1]}", flush=True)
                failed.append((seed, found))
            done += CHUNK
            if time.monotonic() < end and len(failed) < 20:
                waiting += [pool.submit(run_chunk, number) for number in islice(chunks, 1)]
    took = time.monotonic() - end + seconds
    print(f"{done} runs in {took:.1f} s: {done / took * 3600:,.0f} an hour; {len(failed)} failed")
    return failed


def main() -> int:
    """Run what the arguments say; return 1 where something did not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, help="how many seeds")
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long at most (default: an hour)")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this one alone, with its schedule")
    parser.add_argument("--all-faults", action="store_true", help="do not look for fewer faults that do it")
    given = parser.parse_args()
    if given.seed is not None:
        return not explain(given.seed, None if given.all_faults else shrink(given.seed) or None)
    failed = run_many(given.runs, given.seconds, given.first)
    if failed:
        print(f"the schedule of one of them: python {__file__} --seed {failed[0][0]}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
