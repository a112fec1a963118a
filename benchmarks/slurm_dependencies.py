"""How long after the end of a job on Slurm the next one begins: released by anyjob, and by Slurm's own words.

Chains of programs that write the time, in turns. With anyjob each starts ``after`` the one
before, with nobody waiting for it; with Slurm's it is `sbatch --dependency=afterok`. It needs `anyjob-slurm`.

Usage: python benchmarks/slurm_dependencies.py [rounds]
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyjob
from anyjob import Command

LINKS = 4
TIMES = 'date +%s.%N >> "$1"; sleep 1; date +%s.%N >> "$1"'


def native(path: Path) -> None:
    before: list[str] = []
    for _ in range(LINKS + 1):
        command = [
            "sbatch",
            "--parsable",
            "-o",
            "/dev/null",
            *before,
            "--wrap",
            TIMES.replace("$1", str(path)),
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        before = [f"--dependency=afterok:{said.stdout.strip()}"]


def released(path: Path) -> None:
    backend = anyjob.get_backend("slurm", spool=str(path.parent / "spool"))
    job = None
    for _ in range(LINKS + 1):
        job = backend.run(Command(["sh", "-c", TIMES, "sh", str(path)]), **({"after": job} if job else {}))


def pauses(path: Path) -> list[float]:
    while not path.exists() or len(path.read_text().split()) < 2 * (LINKS + 1):
        time.sleep(0.2)
    times = [float(each) for each in path.read_text().split()]
    return [begin - end for end, begin in itertools.pairwise(times)][1::2]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    found: dict[str, list[float]] = {"slurm's own": [], "anyjob's": []}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(rounds):
            for name, submit in (("slurm's own", native), ("anyjob's", released)):
                path = Path(directory, f"{name.split()[0].strip(chr(39))}-{number}")
                submit(path)
                found[name] += pauses(path)
    for name, values in found.items():
        print(f"{name:12} median {statistics.median(values):.2f} s, {min(values):.2f} to {max(values):.2f}")


if __name__ == "__main__":
    main()
