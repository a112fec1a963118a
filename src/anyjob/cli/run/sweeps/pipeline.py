"""`anyjob run FILE.toml`, where the file has several steps: all are handed over at once, in order."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from anyjob.cli import exit_codes
from anyjob.cli.jobs.operations import choose_backend
from anyjob.cli.jobs.queueing import explained_wait
from anyjob.cli.run.detach import require_durable
from anyjob.cli.run.interrupts import Interrupts
from anyjob.cli.run.sweeps import results_file
from anyjob.cli.run.sweeps.failing_fast import FailFast
from anyjob.cli.run.sweeps.plan import PlannedStep, prerequisites_in, print_plan
from anyjob.cli.run.sweeps.progress import Progress
from anyjob.cli.run.sweeps.report import SweepRow, print_report
from anyjob.cli.run.sweeps.report_file import report_on
from anyjob.cli.run.sweeps.request import FileRequest
from anyjob.cli.run.sweeps.resume import hand_over, once_of
from anyjob.cli.run.sweeps.sweep import make_work, merge_resources
from anyjob.cli.terminal.output import print_message, write_json, write_line
from anyjob.jobfile.pipeline import Pipeline, Step
from anyjob.jobfile.reader import JobFile
from anyjob.runtime.dependencies.prerequisites import PIPELINE
from anyjob.session.facade import Session
from anyjob.status import PREREQUISITES
from anyjob.tracking.waits.blocking import as_completed

SKIPPED = "SKIPPED"
"""What is told of a step that is for failures alone, where nothing has failed: that is none itself."""


class Prepared(NamedTuple):
    """A step that is about to be handed over."""

    step: Step
    specs: list[Any]
    rows: list[SweepRow]
    backend: Any
    resources: dict[str, Any]


def run_pipeline(session: Session, pipeline: Pipeline, request: FileRequest) -> int:
    """Run the steps of a job file, and return the exit code.

    It goes on where it was left off: what is done is not run again, but for steps that need one of which
    something is.
    """
    name = pipeline.name or os.path.basename(pipeline.path)
    steps = [_prepare(session, step, request, name) for step in pipeline.steps]
    if request.dry_run:
        print_plan(name, [_planned(step, request) for step in steps], as_json=request.as_json)
        return exit_codes.OK
    new: list[Any] = []
    try:
        jobs = _submit(steps, request, new)
    except BaseException:  # what has been handed over would be half of it
        session.cancel(new)
        raise
    print_message(f"{name}: {len(new)} new jobs of {len(jobs)}, in {len(steps)} steps")
    rows = [row for prepared in steps for row in prepared.rows]
    for row, job in zip(rows, jobs, strict=True):
        row.job = job
    report = report_on(session, name, jobs, request.report)
    if request.detach:
        _print_ids(pipeline, rows, as_json=request.as_json)
        return exit_codes.OK
    given = {id(row): prepared.resources for prepared in steps for row in prepared.rows}
    unneeded = {id(row) for one in steps if {*one.step.needs} == {"after_failure"} for row in one.rows}
    row_of = {id(job): row for row, job in zip(rows, jobs, strict=True)}
    whatever = {id(row) for one in steps if {*one.step.needs} - {"after"} for row in one.rows}
    ends = [row.job for row in rows if id(row) not in whatever]
    wanted = pipeline.fail_fast if request.fail_fast is None else request.fail_fast
    failing = FailFast(name, ends, session.cancel, is_wanted=wanted)
    with Interrupts(lambda: new, session.cancel, kill=False, outlive=True) as interrupts:
        used = ", ".join(dict.fromkeys(str(step.backend) for step in steps))
        with Progress(name, len(rows), used) as progress, explained_wait(jobs):
            for job in as_completed(jobs):
                row = row_of[id(job)]
                row.record_outcome(given[id(row)])
                if id(row) in unneeded and row.known["reason"] == "dependency":
                    row.state = SKIPPED
                progress.ended(row, before=job not in new)
                failing.ended(job, row.state)
        stopped = interrupts.signal
    whole = JobFile(pipeline.path, pipeline.name, None, "", {}, {}, [])
    if request.results is not None:
        results_file.write(rows, request.results)
    print_report(whole, rows, steps[-1].backend, as_json=request.as_json)
    if report is not None and stopped is None:
        report.wait()
    if stopped is not None:
        return exit_codes.SIGNALLED + stopped
    well = all(row.state == SKIPPED or row.went_well(as_json=request.as_json) for row in rows)
    return exit_codes.OK if well else exit_codes.FOUND


def _planned(prepared: Prepared, request: FileRequest) -> PlannedStep:
    step, specs, rows, backend, resources = prepared
    needs = step.needs or prerequisites_in(request.resources)
    return PlannedStep(step.name, specs, rows, backend, resources, needs)


def _prepare(session: Session, step: Step, request: FileRequest, name: str) -> Prepared:
    specs, rows = make_work(session, step.file)
    rows = [SweepRow({"step": step.name, **row.parameters}, row.writes) for row in rows]
    backend = choose_backend(session, request.backend or step.file.backend, specs[0])
    require_durable(backend, "")  # steps are handed over at once, and wait for each other there
    own = {key: value for key, value in request.resources.items() if key not in PREREQUISITES}
    resources = merge_resources(step.file, own)
    resources["tags"] = {PIPELINE: name, **resources.get("tags", {})}
    return Prepared(step, specs, rows, backend, resources)


def _submit(steps: list[Prepared], request: FileRequest, new: list[Any]) -> list[Any]:
    """Hand over what is missing; return the jobs of all steps, in order."""
    made: dict[str, list[Any]] = {}
    for step, specs, rows, backend, resources in steps:
        needed = {name for names in step.needs.values() for name in names}
        after = {
            keyword: [job for name in names for job in made[name]] for keyword, names in step.needs.items()
        }
        if not needed:
            after = prerequisites_in(request.resources)
        once = once_of(step.file, step.name, fresh=request.fresh)
        found = hand_over(backend, specs, rows, {**resources, **after}, once)
        made[step.name] = found.jobs
        before = found.done | found.joined
        new += [job for index, job in enumerate(found.jobs) if index not in before]
    return [job for prepared in steps for job in made[prepared.step.name]]


def _print_ids(pipeline: Pipeline, rows: list[SweepRow], *, as_json: bool) -> None:
    if as_json:
        records = [{"parameters": row.parameters, "job_id": row.job.job_id()} for row in rows]
        write_json({"name": pipeline.name, "file": pipeline.path, "jobs": records})
    else:
        for row in rows:
            write_line(row.job.job_id())
