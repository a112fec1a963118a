"""What `anyjob jobs` costs among a million jobs, beside `anyjob --version`, and where that goes.

`jobs` lists the newest 50 of an empty ledger, and of one with so many jobs, those of `benchmarks/report.py`.
What is imported from others is there beside: what reads SQLite and parses options cannot do with less.

Usage: python benchmarks/listing.py [rounds [jobs]]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import _side_by_side as bench

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from report import fill
from start import THEIRS

VERSION, OTHERS = "anyjob --version", "what jobs imports of others"
EMPTY, MANY = "jobs of an empty ledger", "jobs of {count:,}"
MOST = 1.5
"""Times `anyjob --version` that were asked for."""


def main() -> int:
    """Measure, and print."""
    python = bench.environment()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    many = MANY.format(count=count)
    with tempfile.TemporaryDirectory() as home:
        state = Path(home) / "many"
        fill(state, count, bulk=1000)
        anyjob = str(python.with_name("anyjob"))
        programs = {
            VERSION: [anyjob, "--version"],
            OTHERS: THEIRS[OTHERS],
            EMPTY: [anyjob, "jobs"],
            many: [anyjob, "jobs"],
        }
        environ = bench.variables(Path(home))
        own = {many: {**environ, "ANYJOB_STATE": str(state)}}
        times = bench.measure(python, programs, environ, bench.rounds(), own)
    bench.report(times, [])
    for name in (bench.BARE, OTHERS, EMPTY, many):
        ratios = [one / other for one, other in zip(times[name], times[VERSION], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{name} takes {middle:.2f} of {VERSION} ({low:.2f} to {high:.2f})")
    return 0 if middle <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
