"""What importing anyjob costs, next to importing stevedore.

Usage: python benchmarks/import_time.py [rounds]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import _side_by_side as bench

PROGRAMS = {
    "import anyjob": "import anyjob",
    "from anyjob import Call, get_backend": "from anyjob import Call, get_backend",
    "import stevedore": "import stevedore",
}
LIMITS = [
    ("import anyjob", "import stevedore", 0.5),
    ("from anyjob import Call, get_backend", "import stevedore", 0.9),
]


def main() -> int:
    python = bench.environment("stevedore")
    with tempfile.TemporaryDirectory() as home:
        times = bench.measure(python, PROGRAMS, bench.variables(Path(home)), bench.rounds())
    return 0 if bench.report(times, LIMITS) else 1


if __name__ == "__main__":
    sys.exit(main())
