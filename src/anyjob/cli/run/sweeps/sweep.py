"""`anyjob run FILE.toml`: the jobs of a job file are handed over, waited for, and reported."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from anyjob.cli import exit_codes
from anyjob.cli.jobs.operations import SubmittedJobs, choose_backend
from anyjob.cli.jobs.queueing import explained_wait
from anyjob.cli.run.detach import require_durable
from anyjob.cli.run.interrupts import Interrupts
from anyjob.cli.run.single import run_one
from anyjob.cli.run.sweeps import results_file
from anyjob.cli.run.sweeps.failing_fast import FailFast
from anyjob.cli.run.sweeps.plan import PlannedStep, prerequisites_in, print_plan
from anyjob.cli.run.sweeps.progress import Progress
from anyjob.cli.run.sweeps.report import SweepRow, print_report
from anyjob.cli.run.sweeps.report_file import ReportFile, report_on
from anyjob.cli.run.sweeps.request import FileRequest
from anyjob.cli.run.sweeps.resume import hand_over, once_of, summary
from anyjob.cli.terminal.output import print_message, write_json, write_line
from anyjob.cli.terminal.results import check_writes
from anyjob.cli.terminal.values import parse_value
from anyjob.errors import SpecError
from anyjob.jobfile import reader
from anyjob.jobfile.spec_builder import make_spec, spec_type_of
from anyjob.session.facade import Session
from anyjob.tracking.waits.blocking import as_completed


def run_file(session: Session, path: str, request: FileRequest) -> int:
    """Run the jobs of a job file, and return the exit code.

    On a durable backend, it goes on where it was left off: see `anyjob.cli.run.sweeps.resume`.
    """
    file = reader.load(path, {name: parse_axis(text) for name, text in request.axes.items()})
    specs, rows = make_work(session, file)
    resources = merge_resources(file, request.resources)
    backend = choose_backend(session, request.backend or file.backend, specs[0])
    name = file.name or os.path.basename(path)
    if request.dry_run:
        step = PlannedStep(file.name, specs, rows, backend, resources, prerequisites_in(resources))
        print_plan(name, [step], as_json=request.as_json)
        return exit_codes.OK
    before: frozenset[int] = frozenset()
    report: ReportFile | None = None
    if request.report is not None:
        require_durable(backend, "--report")

    def submit() -> list[Any]:
        nonlocal before, report
        made = hand_over(backend, specs, rows, resources, once_of(file, fresh=request.fresh))
        before = made.done
        report = report_on(session, name, made.jobs, request.report)
        if told := summary(made):
            print_message(f"{name}: {told}")
        return made.jobs

    if request.detach:
        require_durable(backend)
        if rows[0].writes:
            print_message(f"{name}: its files are written when it is run again, without --detach")
        return _detach(file, rows, backend, submit(), as_json=request.as_json)
    if (
        len(rows) == 1
        and not rows[0].parameters
        and not request.as_json
        and request.results is request.report is None
    ):  # what is wanted of it is what it writes
        first = submit if backend.capabilities.durable else None
        return run_one(backend, specs[0], resources, as_json=False, writes=rows[0].writes, submit=first)
    submitted = SubmittedJobs(backend)
    durable = backend.capabilities.durable
    with Interrupts(submitted.in_engine, session.cancel, kill=not durable, outlive=durable) as interrupts:
        with Progress(name, len(rows), str(backend)) as progress:
            submitted.jobs = jobs = submit()
            index_of = {id(job): index for index, job in enumerate(jobs)}
            for row, job in zip(rows, jobs, strict=True):
                row.job = job
            wanted = file.fail_fast if request.fail_fast is None else request.fail_fast
            failing = FailFast(name, jobs, session.cancel, is_wanted=wanted)
            with explained_wait(jobs):
                for job in as_completed(jobs):
                    row = rows[index_of[id(job)]]
                    row.record_outcome(resources)
                    progress.ended(row, before=index_of[id(job)] in before)
                    failing.ended(job, row.state)
        stopped = interrupts.signal
    if request.results is not None:
        results_file.write(rows, request.results)
    print_report(file, rows, backend, as_json=request.as_json)
    if report is not None and stopped is None:
        report.wait()
    if stopped is not None:
        return exit_codes.SIGNALLED + stopped
    return exit_codes.OK if all(row.went_well(as_json=request.as_json) for row in rows) else exit_codes.FOUND


def make_work(session: Session, file: reader.JobFile) -> tuple[list[Any], list[SweepRow]]:
    """Return the specs of the jobs of a file, and the rows that tell of them."""
    if file.kind == "python" and file.directory not in sys.path:
        sys.path.insert(0, file.directory)
    spec_type = spec_type_of(session, file.kind)
    specs = [make_spec(spec_type, line.fields, file.path, file.directory) for line in file.jobs]
    for line in file.jobs:
        check_writes(line.writes, file.kind, session.get_job_type(file.kind), f"{file.path}: write.")
    return specs, [SweepRow(line.parameters, line.writes) for line in file.jobs]


def _detach(
    file: reader.JobFile, rows: list[SweepRow], backend: Any, jobs: list[Any], *, as_json: bool
) -> int:
    """Print the ids of all jobs of the file, in order."""
    if as_json:
        records = [
            {"parameters": row.parameters, "job_id": job.job_id()}
            for row, job in zip(rows, jobs, strict=True)
        ]
        write_json({"name": file.name, "file": file.path, "backend": str(backend), "jobs": records})
    else:
        for job in jobs:
            write_line(job.job_id())
    return exit_codes.OK


def parse_axis(text: str) -> list[Any]:
    """Return the values of an axis: ``1,2,3``, or a list as JSON has it."""
    whole = parse_value(text)
    if isinstance(whole, list):
        return whole
    return [parse_value(part.strip()) for part in text.split(",")]


def merge_resources(file: reader.JobFile, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the jobs need: what the command line says goes before what the file says.

    Raises:
        SpecError: so many may run at a time, of a name that neither says.
    """
    resources = {**file.resources, **overrides}
    if file.limit is not None:
        resources.setdefault("limit", file.limit)
    if file.name and "name" not in overrides:
        resources["name"] = file.name
    if "limit" in resources and not resources.get("name"):
        ways = '--name fit, or name = "fit" in the file'
        raise SpecError(f"--limit is of the jobs of one name: say which, as {ways}")
    for key, before in (("tags", file.resources.get("tags")), ("options", file.options)):
        if before:
            resources[key] = {**before, **overrides.get(key, {})}
    return resources
