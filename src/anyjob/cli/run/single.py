"""One job from start to end: submitted, streamed, cancelled by Ctrl-C, reported."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from anyjob.cli import exit_codes
from anyjob.cli.jobs import operations
from anyjob.cli.jobs.operations import SubmittedJobs, describe, failure_of, outcome_of, result_of
from anyjob.cli.run.interrupts import Interrupts
from anyjob.cli.run.streaming import OutputForwarder, StatusLine, wait_with_status
from anyjob.cli.terminal.output import print_error, print_message, write_json, write_line
from anyjob.cli.terminal.results import as_json as result_as_json
from anyjob.cli.terminal.results import print_result, write_files
from anyjob.command_result import CommandResult
from anyjob.errors import AnyjobError, CommandFailedError
from anyjob.outcome import Outcome
from anyjob.resources import make_resources
from anyjob.specs import Spec, kind_of, without_prerequisites
from anyjob.taskjob import TaskJob


def run_one(
    backend: Any,
    spec: Spec,
    resources: dict[str, Any],
    *,
    as_json: bool,
    writes: Mapping[str, str] | None = None,
    submit: Callable[[], list[Any]] | None = None,
) -> int:
    """Run one job, and return the exit code.

    Args:
        backend: where.
        spec: what.
        resources: what it needs and what it is called.
        as_json: tell of the outcome as JSON: of a command on the last line of stderr, since stdout is
            its own; of another kind of work on stdout, and what it writes goes to stderr.
        writes: files to make of the result, by what they hold: see `anyjob.TaskJob.writes`.
        submit: hands it over, where that is not done as usual; returns the one job.
    """
    hand_over = submit or (lambda: operations.submit(backend, [spec], resources))
    command = kind_of(spec) == "command"
    submitted = SubmittedJobs(backend)
    line = StatusLine()
    stdout = sys.stderr if as_json and not command else sys.stdout
    durable = backend.capabilities.durable
    with Interrupts(submitted.in_engine, _cancel, kill=not durable, outlive=durable) as interrupts:
        targets = {"stdout": stdout, "stderr": sys.stderr}
        # The first attempt may be over before anybody listens: what it has written is shown, too.
        forwarder = OutputForwarder(line, interrupts.cancel, targets, attempt=1)
        try:
            job = _submit(hand_over, submitted, forwarder)
            wait_with_status(job, line, f"job {job.job_id()[:8]} on {backend}")
            forwarder.finish()
        finally:
            line.stop()
        outcome = outcome_of(job)
        report = _EndReport(job, outcome, command, forwarder, interrupts.signal)
        if as_json:
            report.print_json(describe(job, outcome, make_resources(without_prerequisites(resources))))
        else:
            report.print()
        report.write(writes or {})
    return forwarder.exit_code() or report.code


def _cancel(jobs: list[Any]) -> list[bool]:
    from anyjob.session.jobs.actions import cancel  # few jobs are cancelled by Ctrl-C

    return cancel(jobs)


def _submit(hand_over: Callable[[], list[Any]], submitted: SubmittedJobs, forwarder: OutputForwarder) -> Any:
    """Hand the work over, and have its output passed on, even where `run` returns when all is done."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            found = submitted.in_engine()
            if found:
                forwarder.start(found[0])
                return

    if submitted.are_seen_early:
        threading.Thread(target=watch, name="anyjob-submitted", daemon=True).start()
    try:
        (job,) = hand_over()
    finally:
        done.set()
    submitted.jobs = [job]
    if isinstance(job, TaskJob):
        forwarder.start(job)
    return job


class _EndReport:
    """What is reported of a job that has ended: its result, or why there is none."""

    def __init__(
        self, job: Any, outcome: Outcome, command: bool, forwarder: OutputForwarder, interrupted: int | None
    ) -> None:
        self._job, self._outcome, self._command, self._forwarder = job, outcome, command, forwarder
        self.code = exit_codes.of(outcome, command=command, interrupted=interrupted)
        self._is_silent = interrupted is not None or forwarder.is_broken
        self._done = outcome.status.name == "DONE"
        self._error = None if self._done or outcome.status.name == "CANCELLED" else failure_of(job)
        if command and isinstance(self._error, CommandFailedError):
            self.code = self._error.exit_code & 0xFF or exit_codes.FAILED

    def print(self) -> None:
        """Say why the job failed, where its own output does not; print the result of one that did not."""
        if not self._done:
            self._forward_late_output()
            self._print_reason()
            return
        result = result_of(self._job)
        if self._command and isinstance(self._job, TaskJob):
            self._forward_late_output(result)
        elif not isinstance(result, CommandResult):  # of that, all was passed on
            print_result(self._job, result)

    def print_json(self, known: dict[str, Any]) -> None:
        """Write it all as one object."""
        known["code"] = self.code
        if self._command:
            self._forward_late_output(result_of(self._job) if self._done else None)
            if self._forwarder.open_line:
                write_line("", sys.stderr)
            write_json(known, sys.stderr)
            return
        if self._done:
            try:
                known["result"] = result_as_json(self._job, result_of(self._job))
            except AnyjobError as error:
                known |= {"result": None, "error": str(error), "code": exit_codes.FAILED}
                print_error(str(error))
                self.code = exit_codes.FAILED
        elif self._error is not None:
            known["error"] = f"{type(self._error).__name__}: {self._error}"
        write_json(known)

    def write(self, writes: Mapping[str, str]) -> None:
        """Make these files of the result of a job that is done; one that cannot be made is an error."""
        if self._done and writes and not write_files(self._job, result_of(self._job), writes):
            self.code = exit_codes.FAILED

    def _forward_late_output(self, result: Any = None) -> None:
        """Of a command that ran as part of a call, what it wrote comes with its result or its error."""
        if not self._command or not isinstance(self._job, TaskJob) or len(self._job.metadata()["route"]) < 2:
            return
        if isinstance(result, CommandResult):
            self._forwarder.write(sys.stdout, result.stdout.bytes())
            self._forwarder.write(sys.stderr, result.stderr.bytes())
        elif isinstance(self._error, CommandFailedError):
            self._forwarder.write(sys.stderr, self._error.stderr.encode("utf-8", "surrogateescape"))

    def _print_reason(self) -> None:
        outcome = self._outcome
        if self._is_silent:
            return
        if outcome.status.name == "CANCELLED":
            print_message(
                f"job {self._job.job_id()} was cancelled"
                + (f": {outcome.message}" if outcome.message else "")
            )
            return
        if self._command and outcome.reason == "exit-code" and self.code not in (126, 127):
            if not self._forwarder.last_errors and outcome.message not in ("", f"exit code {self.code}"):
                print_error(outcome.message)  # of the engine, not of the command
            return  # as env(1): the command has said it, or its code does
        if self._command and isinstance(self._error, CommandFailedError) and self.code not in (126, 127):
            return
        if self._command:
            print_error(outcome.message or f"the job failed: {outcome.reason or 'no reason known'}")
        else:
            print_error(explain_failure(outcome, self._error, self._forwarder.last_errors))


def explain_failure(outcome: Outcome, error: BaseException | None, shown: bytes = b"") -> str:
    """Return why a job that is no command failed: what it raised and where, or the backend's reason.

    Args:
        outcome: what came of it.
        error: what its result raises.
        shown: the end of what it wrote to stderr, where that is on the screen already.
    """
    trace = outcome.traceback.strip()
    if trace and trace.encode("utf-8", "surrogateescape") in shown:
        return f"the job raised an exception: {trace.splitlines()[-1]}"
    if trace:
        return f"the job raised an exception\n{outcome.traceback.rstrip()}"
    return outcome.message or (f"{type(error).__name__}: {error}" if error is not None else "the job failed")
