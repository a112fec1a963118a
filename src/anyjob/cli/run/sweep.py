"""The jobs of a job file: a progress bar, a table of what came of them, each failure told once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from anyjob.cli import exits
from anyjob.cli.jobs.handles import Newcomers, choose, described, failure, outcome_of, submit
from anyjob.cli.output import console, fail, is_terminal, printable, say, table, write_json
from anyjob.cli.run.detach import require_durable
from anyjob.cli.run.interrupts import Interrupts
from anyjob.cli.run.resume import TAG, Left, left_of, tag_of
from anyjob.errors import CommandFailedError
from anyjob.execution.outputs import CommandResult
from anyjob.jobfile import reader
from anyjob.jobfile.spec_builder import make_spec, spec_type_of
from anyjob.jobfile.values import guessed
from anyjob.jobtypes import TaskJob
from anyjob.session.facade import Session
from anyjob.specs import make_resources
from anyjob.tracking.waiting import as_completed

MOST_OUTPUT = 256 * 1024
"""Bytes of a job's stdout that are looked at for a result: more is no row of a table."""
MOST_FAILURES = 10
"""Different failures that are told; ``--json`` tells all."""


class Row:
    """One job of the file, and what came of it."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters
        self.job: Any = None
        self.state = "INITIALIZING"
        self.result: Any = None
        self.why = ""
        self.known: dict[str, Any] = {}

    def label(self) -> str:
        """Return its parameters, for a line."""
        return printable(" ".join(f"{name}={value}" for name, value in self.parameters.items()))

    def settle(self, resources: Mapping[str, Any]) -> None:
        """Take in what came of the job; of its output, only what fits into a table."""
        outcome = outcome_of(self.job)
        self.state = outcome.status.name
        self.known = described(self.job, outcome, make_resources(dict(resources)))
        if self.state == "DONE":
            self.result = result_of(self.job)
        elif self.state == "ERROR":
            self.why = reason_of(self.job, outcome)


def result_of(job: Any) -> Any:
    """Return a job's result where it can stand in a table: what it returned, or its stdout as JSON."""
    if not isinstance(job, TaskJob) or job.metadata()["route"][-1] != "command":
        result = job.result()
        if not isinstance(result, CommandResult):
            return result
        return parsed(result.stdout.bytes())
    written = b""
    for chunk in job.log_bytes("stdout"):
        written += chunk
        if len(written) > MOST_OUTPUT:
            break
    if job.metadata()["kind"] != "command":
        result = job.result()
        return parsed(written) if isinstance(result, CommandResult) else result
    return parsed(written)


def parsed(written: bytes) -> Any:
    """Return the JSON object that a program has written; None where it has written something else."""
    if len(written) > MOST_OUTPUT or not written.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(written)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def reason_of(job: Any, outcome: Any) -> str:
    """Return in a line or two why a job failed."""
    error = failure(job)
    if isinstance(error, CommandFailedError):
        last = error.stderr.strip().splitlines()[-1:]
        return "\n".join([outcome.message or f"exit code {error.exit_code}", *last])
    if outcome.reason == "exception" and error is not None:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return outcome.message or outcome.reason or "no reason known"


def run_file(
    session: Session,
    path: str,
    backend_name: str | None,
    resources: dict[str, Any],
    axes: Mapping[str, str],
    *,
    as_json: bool,
    detach: bool = False,
    fresh: bool = False,
) -> int:
    """Run the jobs of a job file, and return the exit code.

    On a durable backend, it goes on where it was left off: see `anyjob.cli.run.resume`.

    Args:
        session: where the backend is looked up.
        path: the file.
        backend_name: in place of the file's.
        resources: before the file's.
        axes: values of its matrix in place of the file's.
        as_json: tell all as JSON, on stdout.
        detach: leave as soon as all is handed over.
        fresh: do not go on where it was left off: run all anew.
    """
    file = reader.load(path, {name: axis(text) for name, text in axes.items()})
    if file.kind == "python" and file.directory not in sys.path:
        sys.path.insert(0, file.directory)
    spec_type = spec_type_of(session, file.kind)
    specs = [make_spec(spec_type, line.fields, file.path, file.directory) for line in file.jobs]
    rows = [Row(line.parameters) for line in file.jobs]
    needs = merged(file, resources)
    backend = choose(session, backend_name or file.backend, specs[0])
    name = file.name or os.path.basename(path)
    left = Left([None] * len(specs))
    if backend.capabilities.durable:
        needs["tags"] = {**needs.get("tags", {}), TAG: tag_of(file)}
        if not fresh:
            left = left_of(session, file, specs)
    if left.done or left.open:
        say(f"{name}: {left.in_words()}")
    if detach:
        require_durable(backend)
        return _detach(file, rows, backend, _handed_over(backend, specs, needs, left), as_json=as_json)
    newcomers = Newcomers(backend)
    durable = backend.capabilities.durable
    with Interrupts(newcomers, session.cancel, kill=not durable, outlive=durable) as interrupts:
        with Progress(name, len(rows), str(backend)) as progress:
            newcomers.jobs = jobs = _handed_over(backend, specs, needs, left)
            place_of = {id(job): place for place, job in enumerate(jobs)}
            for row, job in zip(rows, jobs, strict=True):
                row.job = job
            for job in as_completed(jobs):
                row = rows[place_of[id(job)]]
                row.settle(needs)
                progress.ended(row, before=place_of[id(job)] in left.done)
        stopped = interrupts.signal
    report(file, rows, backend, as_json=as_json)
    if stopped is not None:
        return exits.SIGNALLED + stopped
    return exits.OK if all(row.state == "DONE" for row in rows) else exits.FOUND


def _handed_over(backend: Any, specs: list[Any], needs: dict[str, Any], left: Left) -> list[Any]:
    """Return the jobs in order: those that there are, and those that are handed over now."""
    jobs = list(left.jobs)
    places = [place for place, job in enumerate(jobs) if job is None]
    new = _submit(backend, [specs[place] for place in places], needs) if places else []
    for place, job in zip(places, new, strict=True):
        jobs[place] = job
    return jobs


def _detach(file: reader.JobFile, rows: list[Row], backend: Any, jobs: list[Any], *, as_json: bool) -> int:
    """Print the ids of all jobs of the file, in order."""
    if as_json:
        told = [
            {"parameters": row.parameters, "job_id": job.job_id()}
            for row, job in zip(rows, jobs, strict=True)
        ]
        write_json({"name": file.name, "file": file.path, "backend": str(backend), "jobs": told})
    else:
        print("\n".join(job.job_id() for job in jobs))
    return exits.OK


def _submit(backend: Any, specs: list[Any], needs: dict[str, Any]) -> list[Any]:
    many = getattr(backend, "run_many", None)
    return submit(backend, specs, needs) if many is None else list(many(specs, **needs))


def axis(text: str) -> list[Any]:
    """Return the values of an axis: ``1,2,3``, or a list as JSON has it."""
    whole = guessed(text)
    if isinstance(whole, list):
        return whole
    return [guessed(part.strip()) for part in text.split(",")]


def merged(file: reader.JobFile, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the jobs need: what the command line says goes before what the file says."""
    needs = {**file.resources, **given}
    if file.name and "name" not in given:
        needs["name"] = file.name
    for key, before in (("tags", file.resources.get("tags")), ("options", file.options)):
        if before:
            needs[key] = {**before, **given.get(key, {})}
    return needs


class Progress:
    """How far the jobs are: a bar on a terminal, else a line for each that ends; both on stderr."""

    def __init__(self, name: str, total: int, backend: str) -> None:
        self._name, self._total, self._backend = name, total, backend
        self._ended = self._failed = 0
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if is_terminal(sys.stderr):
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[failed]}", style="red"),
                TimeElapsedColumn(),
                console=console(sys.stderr),
                redirect_stdout=False,
                redirect_stderr=False,
                expand=True,
            )
            self._task = self._bar.add_task(f"{self._name} on {self._backend}", total=self._total, failed="")
            self._bar.start()
        else:
            say(f"{self._name}: {self._total} jobs on {self._backend}")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def ended(self, row: Row, *, before: bool = False) -> None:
        """One job has ended, or was done before: then it has no line of its own."""
        self._ended += 1
        self._failed += row.state == "ERROR"
        if self._bar is not None:
            failed = f"{self._failed} failed" if self._failed else ""
            self._bar.update(self._task, completed=self._ended, failed=failed)
        elif not before:
            count = str(self._ended).rjust(len(str(self._total)))
            print(f"[{count}/{self._total}] {row.state} {row.label()}".rstrip(), file=sys.stderr, flush=True)


# --- what came of it ------------------------------------------------------------------------------


def report(file: reader.JobFile, rows: list[Row], backend: Any, *, as_json: bool) -> None:
    """Write the table, and each failure once."""
    if as_json:
        jobs = [
            {"parameters": row.parameters, **row.known, "result": row.result, "error": row.why or None}
            for row in rows
        ]
        write_json({"name": file.name, "file": file.path, "backend": str(backend), "jobs": jobs})
    else:
        columns = list(columns_of(rows))
        table(
            [name for name, _ in columns],
            ([cells.get(id(row)) for _, cells in columns] for row in rows),
            marks=("ERROR", "CANCELLED"),
        )
    tell_failures(rows)


def columns_of(rows: list[Row]) -> Iterator[tuple[str, dict[int, Any]]]:
    """Yield the columns: parameters, state, then the fields of the results; cells by row."""
    parameters: dict[str, dict[int, Any]] = {}
    fields: dict[str, dict[int, Any]] = {}
    for row in rows:
        for name, value in row.parameters.items():
            parameters.setdefault(name, {})[id(row)] = value
        if isinstance(row.result, dict):
            for name, value in row.result.items():
                fields.setdefault(str(name), {})[id(row)] = value
        elif row.result is not None:
            fields.setdefault("result", {})[id(row)] = row.result
    yield from parameters.items()
    yield "state", {id(row): row.state for row in rows}
    for name, cells in fields.items():
        given = parameters.get(name, {})
        if any(given.get(key) != value for key, value in cells.items()):
            yield (f"result.{name}" if name in (*parameters, "state") else name), cells


def tell_failures(rows: Iterable[Row]) -> None:
    """Say on stderr why jobs failed: each reason once, with how often and an example."""
    by_reason: dict[str, list[Row]] = {}
    for row in rows:
        if row.state == "ERROR":
            by_reason.setdefault(row.why, []).append(row)
    for why, failed in list(by_reason.items())[:MOST_FAILURES]:
        example = f" ({failed[0].label()})" if failed[0].parameters else ""
        many = f"{len(failed)} jobs failed, the first" if len(failed) > 1 else "a job failed"
        fail(f"{many}{example}: " + "\n  ".join(map(printable, why.splitlines())))
    if len(by_reason) > MOST_FAILURES:
        say(f"and {len(by_reason) - MOST_FAILURES} failures of other kinds: --json tells them all")
