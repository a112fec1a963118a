"""One job from start to end: submitted, streamed, cancelled by Ctrl-C, told of."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

from anyjob.cli import exits
from anyjob.cli.jobs.handles import Newcomers, cancel, described, failure, outcome_of, submit
from anyjob.cli.output import fail, leave_pipe, say, write_json
from anyjob.cli.run.interrupts import Interrupts
from anyjob.cli.run.streaming import Pump, StateLine, wait_shown
from anyjob.errors import AnyjobError, CommandFailedError
from anyjob.execution.outputs import CommandResult
from anyjob.jobtypes import TaskJob
from anyjob.specs import Outcome, Spec, kind_of, make_resources


def run_one(
    backend: Any,
    spec: Spec,
    resources: dict[str, Any],
    *,
    as_json: bool,
    writes: Mapping[str, str] | None = None,
) -> int:
    """Run one job, and return the exit code.

    Args:
        backend: where.
        spec: what.
        resources: what it needs and what it is called.
        as_json: tell of the outcome as JSON: of a command on the last line of stderr, since stdout is
            its own; of another kind of work on stdout, and what it writes goes to stderr.
        writes: files to make of the result, by what they hold: see `anyjob.TaskJob.writes`.
    """
    command = kind_of(spec) == "command"
    newcomers = Newcomers(backend)
    line = StateLine()
    stdout = sys.stderr if as_json and not command else sys.stdout
    durable = backend.capabilities.durable
    with Interrupts(newcomers, cancel, kill=not durable, outlive=durable) as interrupts:
        pump = Pump(line, interrupts.cancel, {"stdout": stdout, "stderr": sys.stderr})
        try:
            job = _submitted(backend, spec, resources, newcomers, pump)
            wait_shown(job, line, f"job {job.job_id()[:8]} on {backend}")
            pump.finish()
        finally:
            line.stop()
        outcome = outcome_of(job)
        shown = _Ending(job, outcome, command, pump, interrupts.signal)
        if as_json:
            shown.tell_json(described(job, outcome, make_resources(resources)))
        else:
            shown.tell()
        shown.write(writes or {})
    if pump.is_broken:
        leave_pipe()
        return exits.BROKEN_PIPE
    if pump.problem is not None:
        fail(f"what the job wrote cannot be passed on: {pump.problem}")
        return exits.FAILED
    return shown.code


def _submitted(backend: Any, spec: Spec, resources: dict[str, Any], newcomers: Newcomers, pump: Pump) -> Any:
    """Hand the work over, and have its output passed on, even where `run` returns when all is done."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            found = newcomers()
            if found:
                pump.start(found[0])
                return

    threading.Thread(target=watch, name="anyjob-newcomer", daemon=True).start()
    try:
        (job,) = submit(backend, [spec], resources)
    finally:
        done.set()
    newcomers.jobs = [job]
    if isinstance(job, TaskJob):
        pump.start(job)
    return job


class _Ending:
    """What is left to tell once a job has ended."""

    def __init__(
        self, job: Any, outcome: Outcome, command: bool, pump: Pump, interrupted: int | None
    ) -> None:
        self._job, self._outcome, self._command, self._pump = job, outcome, command, pump
        self.code = exits.of(outcome, command=command, interrupted=interrupted)
        self._quiet = interrupted is not None or pump.is_broken
        self._done = outcome.status.name == "DONE"
        self._error = None if self._done or outcome.status.name == "CANCELLED" else failure(job)
        if command and isinstance(self._error, CommandFailedError):
            self.code = self._error.exit_code & 0xFF or exits.FAILED

    def tell(self) -> None:
        """Say why the job failed, where its own output does not; print the result of one that did not."""
        if not self._done:
            self._catch_up()
            self._say_why()
            return
        result = self._job.result()
        if self._command and isinstance(self._job, TaskJob):
            self._catch_up(result)
        elif result is not None and not isinstance(result, CommandResult):
            shown = self._job.show(result) if isinstance(self._job, TaskJob) else None
            print(result if shown is None else shown)

    def tell_json(self, known: dict[str, Any]) -> None:
        """Write it all as one object."""
        known["code"] = self.code
        if self._command:
            self._catch_up(self._job.result() if self._done else None)
            if self._pump.open_line:
                print(file=sys.stderr)
            write_json(known, sys.stderr)
            return
        if self._done:
            known["result"] = self._job.result()
        elif self._error is not None:
            known["error"] = f"{type(self._error).__name__}: {self._error}"
        write_json(known)

    def write(self, writes: Mapping[str, str]) -> None:
        """Make these files of the result of a job that is done; one that cannot be made is an error."""
        if not self._done:
            return
        for what, path in writes.items():
            try:
                self._job.write(self._job.result(), what, path)
            except AnyjobError as error:
                fail(f"--{what}: {error}")
                self.code = exits.FAILED

    def _catch_up(self, result: Any = None) -> None:
        """Of a command that ran as part of a call, what it wrote comes with its result or its error."""
        if not self._command or not isinstance(self._job, TaskJob) or len(self._job.metadata()["route"]) < 2:
            return
        if isinstance(result, CommandResult):
            self._pump.write(sys.stdout, result.stdout.bytes())
            self._pump.write(sys.stderr, result.stderr.bytes())
        elif isinstance(self._error, CommandFailedError):
            self._pump.write(sys.stderr, self._error.stderr.encode("utf-8", "surrogateescape"))

    def _say_why(self) -> None:
        outcome = self._outcome
        if self._quiet:
            return
        if outcome.status.name == "CANCELLED":
            say(
                f"job {self._job.job_id()} was cancelled"
                + (f": {outcome.message}" if outcome.message else "")
            )
            return
        if self._command and outcome.reason == "exit-code" and self.code not in (126, 127):
            return  # as env(1): the command has said it, or its code does
        if isinstance(self._error, CommandFailedError) and self.code not in (126, 127):
            return
        if self._command:
            fail(outcome.message or f"the job failed: {outcome.reason or 'no reason known'}")
        else:
            fail(explained(outcome, self._error))


def explained(outcome: Outcome, error: BaseException | None) -> str:
    """Return why a job that is no command failed: what it raised and where, or the backend's reason."""
    if outcome.traceback:
        return f"the job raised an exception\n{outcome.traceback.rstrip()}"
    return outcome.message or (f"{type(error).__name__}: {error}" if error is not None else "the job failed")
