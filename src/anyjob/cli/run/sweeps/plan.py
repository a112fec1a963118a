"""`anyjob run FILE.toml --dry-run`: what would be handed over where, and after what; nothing is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from anyjob.cli.run.sweeps.report import SweepRow
from anyjob.cli.terminal.output import print_message, table, write_json
from anyjob.specs import Spec, kind_of
from anyjob.status import PREREQUISITES
from anyjob.taskbackend import TaskBackend
from anyjob.taskjob import TaskJob
from anyjob.text.brief import in_a_line

NOT_RESOURCES = {"name", *PREREQUISITES}
MOST = 20
"""Jobs of a step that are listed, at most; ``--json`` has all."""


class PlannedStep(NamedTuple):
    """The jobs of a file, or of one of its steps, that would be handed over together."""

    name: str
    specs: Sequence[Spec]
    rows: Sequence[SweepRow]
    backend: Any
    resources: Mapping[str, Any]
    needs: Mapping[str, Sequence[str]] = {}


def prerequisites_in(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the command line has jobs start after, by keyword."""
    return {key: resources[key] for key in PREREQUISITES if key in resources}


def print_plan(name: str, steps: Sequence[PlannedStep], *, as_json: bool) -> None:
    """Write it: a line for each job."""
    if as_json:
        write_json({"name": name, "steps": [_plain(step) for step in steps]})
        return
    lines = []
    for step in steps:
        for row, spec in list(zip(step.rows, step.specs, strict=True))[:MOST]:
            lines.append([step.name, row.label(), f"{step.backend!s}", _needs(step), _work(step, spec)])
        if len(step.rows) > MOST:
            lines.append([step.name, f"… and {len(step.rows) - MOST} more", f"{step.backend!s}", "", ""])
    table(["name", "parameters", "backend", "after", "work"], lines)
    count = sum(len(step.rows) for step in steps)
    print_message(f"{name}: {count} job{'' if count == 1 else 's'}; nothing was handed over")


def _plain(step: PlannedStep) -> dict[str, Any]:
    jobs = [
        {"parameters": row.parameters, "work": _work(step, spec)}
        for row, spec in zip(step.rows, step.specs, strict=True)
    ]
    return {
        "name": step.name,
        "backend": f"{step.backend!s}",
        "needs": {keyword: list(names) for keyword, names in step.needs.items()},
        "resources": {key: value for key, value in step.resources.items() if key not in NOT_RESOURCES},
        "jobs": jobs,
    }


def _needs(step: PlannedStep) -> str:
    words = {"after": "", "after_end": "the end of ", "after_failure": "a failure of "}
    return "; ".join(words[keyword] + ", ".join(names) for keyword, names in step.needs.items())


def _work(step: PlannedStep, spec: Spec) -> str:
    backend = step.backend
    known = backend.services.job_type(kind_of(spec)) if isinstance(backend, TaskBackend) else TaskJob
    return in_a_line(known.describe, spec)
