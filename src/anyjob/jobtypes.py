"""The kinds of work that anyjob brings: what each is rewritten as, and how its result is read."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from anyjob.command_result import BytesOutput, CommandResult, Output
from anyjob.errors import JobFailedError
from anyjob.outcome import Outcome
from anyjob.serialization.pickling import PickledCall, dump_call
from anyjob.specs import Call, Command, File, Spec, T_co
from anyjob.spool.outcomes import load_value
from anyjob.status import JobStatus
from anyjob.taskjob import TaskJob

if TYPE_CHECKING:
    from pathlib import Path


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./- ")
"""Characters that a shell needs no quotes for, and the space between words."""


class CommandJob(TaskJob[CommandResult]):
    """The kind ``command``: a program. Its result is a `CommandResult`."""

    spec_type = Command
    lowers_to = ("python",)

    @classmethod
    def describe(cls, spec: Command) -> str:
        """Return the command as a shell has it."""
        import shlex

        from anyjob.text.brief import LONGEST

        if len(spec.argv) < LONGEST and all(spec.argv):
            text = " ".join(spec.argv)
            if len(text) < LONGEST and _PLAIN.issuperset(text) and text.count(" ") == len(spec.argv) - 1:
                return text  # as most are
        return shlex.join(argument[:LONGEST] for argument in spec.argv[:LONGEST])

    @classmethod
    def lower(cls, spec: Command, to: str) -> Spec:
        """Rewrite as a call that spawns the program."""
        from anyjob.execution.spawning import run_command

        return Call(run_command, (spec,))

    @classmethod
    def lift(cls, spec: Command, to: str, value: Any) -> CommandResult:
        """The call has returned what the program wrote."""
        stdout, stderr = value
        return CommandResult(
            0, BytesOutput(stdout), BytesOutput(stderr), Outcome(status=JobStatus.DONE, exit_code=0)
        )

    @classmethod
    def read(cls, job: TaskJob, outcome: Outcome) -> Any:
        """The program has run as a job of its own."""
        code = 0 if outcome.exit_code is None else outcome.exit_code
        stdout, stderr = (Output(job, stream, job._record.spool) for stream in ("stdout", "stderr"))
        if isinstance(job, CommandJob):
            for output, stream in ((stdout, "stdout"), (stderr, "stderr")):
                output.path = job._output_file(stream) or output.path
        return CommandResult(code, stdout, stderr, outcome)

    def log_bytes(
        self, stream: str = "stdout", follow: bool = False, attempt: int | None = None
    ) -> Iterator[bytes]:
        """As `logs`, in bytes, as they come; from the file that the program was told to write."""
        from anyjob.outputs import log_reading

        log_reading.check_stream(stream)
        path = self._output_file(stream)
        if path is None:
            return super().log_bytes(stream, follow, attempt)
        return log_reading.chunks(
            lambda offset: log_reading.read_file(path, offset),
            lambda: not follow or self.in_final_state(),
            self._pause,
        )

    def _output_file(self, stream: str) -> Path | None:
        """Return the file that the program was told to write."""
        if not (self._backend.capabilities.shared_files and self._record.is_ours):
            return None
        path = getattr(self._record.specs[0], stream)
        if path is None:
            return None
        from pathlib import Path

        return Path(path)


class PythonJob(TaskJob[T_co]):
    """The kind ``python``: a call. Its result is what the call returns."""

    spec_type = Call
    lowers_to = ("command",)
    needs_shared_files = ("command",)

    @classmethod
    def describe(cls, spec: Call) -> str:
        """Return the function with its arguments."""
        from anyjob.text.brief import arguments, brief

        if isinstance(spec, PickledCall):
            return spec.text
        function = spec.fn if isinstance(spec.fn, str) else brief(spec.fn)
        return f"{function}({arguments(spec.args, spec.kwargs)})"

    @classmethod
    def lower(cls, spec: Call, to: str) -> Spec:
        """Rewrite as a program: an interpreter that runs our `runner` on the pickled call."""
        import sys
        from pkgutil import get_data

        from anyjob.execution.interpreter import find_interpreter

        boot = (
            "import os,runpy;"
            "runpy.run_path(os.path.join(os.environ['ANYJOB_SPOOL'],'files','runner.py'),run_name='__main__')"
        )
        files = {
            "runner.py": File("runner.py", get_data("anyjob.standalone", "runner.py")),
            # With where we import from: a function may be known by the name of a module alone.
            "payload.pkl": File("payload.pkl", pickle.dumps((sys.path, dump_call(spec)))),
        }
        return Command([find_interpreter(), "-c", boot], files=files, env=spec.env, cwd=spec.cwd)

    @classmethod
    def lift(cls, spec: Call, to: str, value: CommandResult) -> Any:
        """The runner has left its outcome, and the backend's `collect` has read it."""
        if value.outcome.value is None:  # a call that returns None leaves a pickled None
            raise JobFailedError("the call ended its process and left no result", reason="exit-code")
        return load_value(value.outcome)

    @classmethod
    def read(cls, job: TaskJob, outcome: Outcome) -> Any:
        """The call has returned something, if only None: the engine has that, or has lost it."""
        if outcome.value is None:  # None itself comes pickled
            raise JobFailedError(
                f"job {job.job_id()} is DONE, and backend {job.backend()!s} has nothing of what the call has "
                "returned: its `collect` gives no value",
                reason="lost",
            )
        return load_value(outcome)
