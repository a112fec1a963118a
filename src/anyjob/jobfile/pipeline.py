"""Job files of several steps, each of which starts after others.

::

    name = "study"                      # optional: what the whole is called
    backend = "laptop"                  # optional: where they run
    fail_fast = true                    # optional: a job fails, and the others are cancelled

    [[job]]                             # one for each step
    name = "fit"                        # what its jobs are called
    command = { argv = ["python3", "fit.py", "{seed}"] }
    matrix = { seed = [1, 2, 3] }

    [[job]]
    name = "report"
    needs = ["fit"]                     # all jobs of these steps have to succeed before
    # needs_end = ["fit"]               # to end, in whatever way
    # needs_failure = ["fit"]           # to fail
    command = { argv = ["python3", "report.py"] }

    [job.resources]                     # of this step; so are options, parameters, write, backend
    memory = "1GiB"

A step has what a job file of one piece of work has, below its ``[[job]]``.
"""

from __future__ import annotations

import graphlib
import os
from typing import Any, NamedTuple

from anyjob.errors import JobFileError
from anyjob.jobfile.reader import KEYS, JobFile, read_flag, read_table
from anyjob.status import PREREQUISITES
from anyjob.text.suggestions import did_you_mean
from anyjob.text.toml import InvalidEntry, explain_entry, parse_toml, read_text, require_known_keys, type_name

NEEDS = dict(zip(("needs", "needs_end", "needs_failure"), PREREQUISITES, strict=True))
"""What a step says that it starts after, and the keyword of a ``run`` that means the same."""


class Step(NamedTuple):
    """One step: its jobs, as of a job file of its own, and the names of the steps that it needs."""

    file: JobFile
    needs: dict[str, list[str]]

    @property
    def name(self) -> str:
        """What it is called, in this file."""
        return self.file.name


class Pipeline(NamedTuple):
    """What a job file of several steps says; each step comes after those that it needs."""

    path: str
    name: str
    steps: list[Step]
    fail_fast: bool = False


def load(path: str | os.PathLike[str]) -> Pipeline | None:
    """Read a job file of several steps; None for one that has no ``[[job]]``.

    Raises:
        JobFileError: it cannot be read, or cannot be used; names file, line and place.
    """
    filename = os.path.abspath(path)
    text = read_text(filename, error=JobFileError)
    data = parse_toml(text, filename, error=JobFileError)
    if not isinstance(data.get("job"), list):
        return None
    try:
        require_known_keys("", data, ("name", "backend", "fail_fast", "job"))
        fail_fast = read_flag(data, "fail_fast")
        entries = [_entry(number, table) for number, table in enumerate(data["job"])]
        names = [name for name, _ in entries]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise InvalidEntry(f"job[{number}].name", f"two steps are called {name!r}: rename one")
        steps = {name: _step(number, table, data, filename) for number, (name, table) in enumerate(entries)}
        ordered = [steps[name] for name in _in_order(steps)]
        return Pipeline(filename, str(data.get("name", "")), ordered, fail_fast)
    except InvalidEntry as error:
        raise JobFileError(explain_entry(error, text, filename)) from None


def _entry(number: int, table: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(table, dict):
        raise InvalidEntry(f"job[{number}]", f"expected a table, got {type_name(table)}")
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidEntry(
            f"job[{number}].name", "each step has a name, by which others say that they need it"
        )
    return name, table


def _step(number: int, table: dict[str, Any], data: dict[str, Any], filename: str) -> Step:
    place = f"job[{number}]"
    require_known_keys(place, table, (*KEYS, *NEEDS))
    if "fail_fast" in table:
        raise InvalidEntry(f"{place}.fail_fast", "is said of all steps, at the head of the file")
    needs: dict[str, list[str]] = {}
    for key, keyword in NEEDS.items():
        names = table.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidEntry(f"{place}.{key}", 'expected a list of names of steps: ["fit"]')
        known = [other.get("name") for other in data["job"]]
        for name in names:
            if name not in known:
                raise InvalidEntry(
                    f"{place}.{key}", f"no step is called {name!r}" + did_you_mean(name, known)
                )
        if names:
            needs[keyword] = names
    if both := [name for name in table.get("needs_failure", []) if name in table.get("needs", [])]:
        raise InvalidEntry(
            f"{place}.needs_failure",
            f"{both[0]!r} is in needs too, so that the step could never start: all of {both[0]!r} would have "
            "to succeed, and to fail",
        )
    own = {key: value for key, value in table.items() if key not in NEEDS}
    if "backend" in data:
        own.setdefault("backend", data["backend"])
    try:
        return Step(read_table(own, filename), needs)
    except InvalidEntry as error:
        raise InvalidEntry(f"{place}.{error.place}" if error.place else place, str(error)) from None


def _in_order(steps: dict[str, Step]) -> list[str]:
    graph = {name: [each for some in step.needs.values() for each in some] for name, step in steps.items()}
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        cycle = error.args[1][::-1]
        raise InvalidEntry("job", f"no step of these could ever start: {' needs '.join(cycle)}") from None
