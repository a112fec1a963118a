"""What came of the jobs of a job file: a table with a row for each, and each failure once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from anyjob.cli.jobs.failures import print_reasons, reason_of
from anyjob.cli.jobs.operations import describe, outcome_of, result_of
from anyjob.cli.terminal import results
from anyjob.cli.terminal.output import table, write_json
from anyjob.command_result import BytesOutput, CommandResult
from anyjob.errors import AnyjobError
from anyjob.jobfile.reader import JobFile
from anyjob.resources import make_resources
from anyjob.specs import without_prerequisites
from anyjob.text.printable import printable

MOST_OUTPUT = 256 * 1024
"""Bytes of a job's stdout that are looked at for a result: more is no row of a table."""


class SweepRow:
    """One job of the file, and what came of it.

    Attributes:
        result: what it has returned, as plain data; None where that cannot be had.
        shown: the same as text, where there is no plain data; ``no_json`` says why.
        why: why it is not DONE, or what of its result cannot be had.
    """

    def __init__(self, parameters: dict[str, Any], writes: Mapping[str, str] | None = None) -> None:
        self.parameters = parameters
        self.writes = writes or {}
        self.job: Any = None
        self.state = "INITIALIZING"
        self.result: Any = None
        self.shown: str | None = None
        self.why = self.no_json = ""
        self.known: dict[str, Any] = {}

    def label(self) -> str:
        """Return its parameters, for a line."""
        return printable(" ".join(f"{name}={value}" for name, value in self.parameters.items()))

    def record_outcome(self, resources: Mapping[str, Any]) -> None:
        """Take in what came of the job; of its output, only what fits into a table."""
        outcome = outcome_of(self.job)
        self.state = outcome.status.name
        self.known = describe(self.job, outcome, make_resources(without_prerequisites(resources)))
        if self.state == "DONE":
            try:
                self._record_result()
            except AnyjobError as error:  # the other jobs have results that can be read
                self.state = self.known["state"] = "ERROR"
                self.why = str(error)
        elif self.state == "ERROR":
            self.why = reason_of(self.job, outcome)

    def _record_result(self) -> None:
        value = result_of(self.job)
        if isinstance(value, CommandResult):
            self.result = parse_json_object(start_of_stdout(self.job, value))
        else:
            try:
                self.result = results.as_json(self.job, value)
            except AnyjobError as error:
                self.shown, self.no_json = results.as_text(self.job, value), str(error)
        if self.writes and not results.write_files(self.job, value, self.writes):
            self.why = "files of its result could not be written"

    def went_well(self, *, as_json: bool) -> bool:
        """Return whether it is done, and all that was asked for is there."""
        return self.state == "DONE" and not self.why and not (as_json and self.no_json)


def start_of_stdout(job: Any, result: CommandResult) -> bytes:
    """Return what a program wrote, a little more than `MOST_OUTPUT` at most."""
    if isinstance(result.stdout, BytesOutput):
        return result.stdout.bytes()
    written = b""
    for chunk in job.log_bytes("stdout"):
        written += chunk
        if len(written) > MOST_OUTPUT:
            break
    return written


def parse_json_object(written: bytes) -> Any:
    """Return the JSON object that a program has written; None where it has written something else."""
    if len(written) > MOST_OUTPUT or not written.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(written)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def print_report(file: JobFile, rows: list[SweepRow], backend: Any, *, as_json: bool) -> None:
    """Write the table, and each failure once."""
    if as_json:
        jobs = [
            {
                "parameters": row.parameters,
                **row.known,
                "result": row.result,
                "error": row.why or row.no_json or None,
            }
            for row in rows
        ]
        write_json({"name": file.name, "file": file.path, "backend": str(backend), "jobs": jobs})
    else:
        columns = list(columns_of(rows))
        names = [name for name, _ in columns]
        cells = ([cells.get(id(row)) for _, cells in columns] for row in rows)
        table(names, cells, marks=("ERROR", "CANCELLED"), cut=set(names) - {"state"})
    print_failures(rows)


def columns_of(rows: list[SweepRow]) -> Iterator[tuple[str, dict[int, Any]]]:
    """Yield the columns: parameters, state, then the fields of the results; cells by row."""
    parameters: dict[str, dict[int, Any]] = {}
    fields: dict[str, dict[int, Any]] = {}
    for row in rows:
        for name, value in row.parameters.items():
            parameters.setdefault(name, {})[id(row)] = value
        if isinstance(row.result, dict):
            for name, value in row.result.items():
                fields.setdefault(str(name), {})[id(row)] = value
        elif row.result is not None or row.shown is not None:
            fields.setdefault("result", {})[id(row)] = row.result if row.shown is None else row.shown
    yield from parameters.items()
    yield "state", {id(row): row.state for row in rows}
    for name, cells in fields.items():
        given = parameters.get(name, {})
        if any(given.get(key) != value for key, value in cells.items()):
            yield (f"result.{name}" if name in (*parameters, "state") else name), cells


def print_failures(rows: Iterable[SweepRow]) -> None:
    """Say on stderr why jobs failed: each reason once, with how often and an example."""
    failed = ((row.label(), row.why) for row in rows if row.state == "ERROR")
    print_reasons(failed, "--json tells them all")
