"""What `durability = "full"` costs: the same commands and calls on the `local` backend, with it and without.

300 `/bin/true` and 300 calls of `abs`, two at a time; the two settings take turns. With it, starts, ends and
the ledger reach the disk, so that jobs survive the death of the machine, and not only that of any process.

Usage: python benchmarks/durability.py [rounds]
"""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import Any

import _local
import _side_by_side as bench

from anyjob import Call, Command, wait

JOBS = 300
WORK: dict[str, Any] = {"commands": Command(["/bin/true"]), "calls": Call(abs, (-1,))}


def rates(durability: str) -> dict[str, float]:
    """Return jobs a second, by what was run."""
    found = {}
    with (
        tempfile.TemporaryDirectory() as directory,
        _local.backend(directory, durability=durability) as backend,
    ):
        for name, spec in WORK.items():
            backend.run(spec).result(60)
            begun = time.perf_counter()
            wait(backend.run_many([spec] * JOBS))
            found[name] = JOBS / (time.perf_counter() - begun)
    return found


def main() -> None:
    """Print jobs a second, and the ratios round by round."""
    measured: dict[str, list[dict[str, float]]] = {"normal": [], "full": []}
    for _ in range(bench.rounds(5)):
        for durability, found in measured.items():
            found.append(rates(durability))
    for name in WORK:
        for durability, found in measured.items():
            median = statistics.median(each[name] for each in found)
            print(f"{name}, {durability:8} {median:7.0f} jobs/s")
        pairs = zip(measured["full"], measured["normal"], strict=True)
        ratio = statistics.median(full[name] / normal[name] for full, normal in pairs)
        print(f"{name}: full runs at {ratio:.2f} of normal\n")


if __name__ == "__main__":
    main()
