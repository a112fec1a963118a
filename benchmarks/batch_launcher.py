"""What a program costs on the node of a batch scheduler, part by part: what a launcher in bash could save.

It is the time of a processor, with that of what is started, here and without a scheduler: medians.

Usage: python benchmarks/batch_launcher.py [rounds]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import _side_by_side as bench

from anyjob import Command
from anyjob.batch.dialect import Dialect
from anyjob.batch.files.node_program import launcher_path, python_flags
from anyjob.batch.files.submission import write_submission
from anyjob.batch.script import job_environment, script
from anyjob.orders import Order
from anyjob.resources import Resources
from anyjob.runtime.ids import new_id
from anyjob.spool.job_spool import path_of

PYTHON = [sys.executable, "-S", "-E", "-c", "pass"]


class Acme(Dialect):
    """A scheduler that sets two variables."""

    job_variables = ("ACME_JOB",)
    task_variable = "ACME_TASK"


def cpu(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Run a program; return the milliseconds of a processor that it takes, with what it starts."""
    before = bench.of_processor()
    subprocess.run(command, env=environ, check=True)
    return (bench.of_processor() - before) * 1000


def parts(root: Path, rounds: int) -> None:
    """Print what each part takes."""
    orders = [
        Order(
            job_id=(job_id := new_id()),
            spec=Command(["true"]),
            resources=Resources(),
            environment={"ANYJOB_JOB_ID": job_id},
            spool=path_of(root, job_id),
        )
        for _ in range(2 * rounds)
    ]
    dialect = Acme()
    submission = write_submission(root, orders, job_environment(dialect, os.environb, None), dialect)
    launcher, flags = launcher_path(root), python_flags(orders)
    text = script(dialect, os.fsencode(submission), os.fsencode(launcher), sys.executable, flags)
    (root / "whole").write_text(text)
    (root / "bash").write_text(text.rpartition("exec ")[0])
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        known = {"ANYJOB_SUBMISSION": str(submission), "ANYJOB_JOB": "7", "ANYJOB_RESTARTS": ""}
        for name, command, more in (
            ("a bare job: bash and true", ["bash", "-c", "true"], {}),
            ("the script without the launcher", ["bash", str(root / "bash")], {"ACME_TASK": str(number)}),
            ("a Python that does nothing", PYTHON, {}),
            (
                "the launcher",
                [sys.executable, *flags.split(), str(launcher)],
                {**known, "ANYJOB_TASK": str(number)},
            ),
            (
                "all: the script with the launcher",
                ["bash", str(root / "whole")],
                {"ACME_TASK": str(rounds + number)},
            ),
        ):
            environ = {**os.environ, "ACME_JOB": "7", **more}
            found.setdefault(name, []).append(cpu(command, environ))
    for name, values in found.items():
        print(f"{name:36} {statistics.median(values):6.1f} ms of a processor")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as place:
        parts(Path(place), bench.rounds(40))


if __name__ == "__main__":
    main()
