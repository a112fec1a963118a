"""The words of a scheduler that PSI/J knows, by its executor. Pure: nothing is run here.

An executor of PSI/J's for a batch scheduler says by which programs jobs are submitted, listed and ended, and
reads what these print. That is taken from it; it submits, polls and remembers nothing itself.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from anyjob import BackendUnavailableError, JobStatus
from anyjob.sdk import Dialect, Row, Submission

SHELL = "/bin/sh"
_SUBMIT = 'said=$("$@"); code=$?; printf "%s\\n" "$said" > "$0"; printf "%s\\n" "$said"; exit "$code"'
"""What is answered to a submission is kept beside it: rows have no names to find a job by."""
_ASK = """\
errors=$(mktemp) || exit
said=$("$@" 2> "$errors")
code=$?
[ "$code" = 0 ] || said="$said $(cat "$errors")"
rm -f "$errors"
printf "%s\\n%s\\n" "$code" "$said"
"""
"""An executor reads the exit code, too, and what is complained of."""


class Scheduler(NamedTuple):
    """What PSI/J does not tell of a scheduler.

    Args:
        job: the variable that tells a job its id.
        own: patterns of the variables of its jobs.
        cluster: those that say which cluster is meant.
        name: the custom attribute that names a job.
        restarts: the variable that tells how often a job was started before.
    """

    job: str
    own: tuple[str, ...]
    cluster: tuple[str, ...] = ()
    name: str = ""
    restarts: str = ""


SCHEDULERS = {
    "slurm": Scheduler(
        "SLURM_JOB_ID",
        ("SLURM_*", "SBATCH_*", "SRUN_*", "SQUEUE_*"),
        ("SLURM_CONF", "SLURM_JWT"),
        "slurm.job-name",
        "SLURM_RESTART_COUNT",
    ),
    "lsf": Scheduler(
        "LSB_JOBID",
        ("LSB_*", "LS_*"),
        ("LSF_ENVDIR", "LSF_SERVERDIR", "LSF_LIBDIR", "LSF_BINDIR", "EGO_CONFDIR"),
        "lsf.J",
    ),
    "cobalt": Scheduler("COBALT_JOBID", ("COBALT_*",), ("COBALT_CONFIG_FILES",), "cobalt.jobname"),
    "pbs": Scheduler("PBS_JOBID", ("PBS_*",), ("PBS_CONF_FILE", "PBS_SERVER", "PBS_DEFAULT"), "pbs.N"),
    "pbs_classic": Scheduler("PBS_JOBID", ("PBS_*",), ("PBS_SERVER", "PBS_DEFAULT"), "pbs.N"),
}


class ExecutorDialect(Dialect):
    """A dialect by one of PSI/J's executors.

    Args:
        name: what PSI/J calls the executor.
        executor: it.
        job_variable: the variable that tells a job its id, of a scheduler that is not known here.
    """

    array_limit = None
    passes_environment = True
    script_file = True
    records_submission = True
    # What programs of any of them say; else what they complain of is a rejection, in their words.
    away = ("Unable to contact", "Connection refused", "cannot connect to server", "LSF is down")
    unsure = ("timed out", "Connection reset by peer")

    def __init__(self, name: str, executor: Any, job_variable: str = "") -> None:
        self._executor = executor
        self._known = SCHEDULERS.get(name, Scheduler(job_variable, ()))
        self.title = f"PSI/J's {name!r}"
        self.job_variables = (job_variable or self._known.job,)
        self.restarts_variable = self._known.restarts
        self.foreign_variables = (*self._known.own, "PSIJ_*")
        self.cluster_variables = self._known.cluster
        self._path: str | None = None

    def submit(self, what: Submission) -> list[str]:
        """Write PSI/J's script beside ours, which it runs, and return the executor's program."""
        assert what.directory is not None
        if shlex.quote(str(what.directory)) != str(what.directory):  # which stands within quotes there
            raise ValueError(
                f"PSI/J cannot write below {str(what.directory)!r}: set the option `spool` to a plain path"
            )
        path = what.directory / "psij"
        path.write_text(self.script(what), encoding="utf-8")
        path.chmod(0o700)  # LSF runs it as a program
        command = self._executor.get_submit_command(None, path)
        if shutil.which(command[0], path=self._path) is None:
            raise ValueError(
                f"`{command[0]}` of {self.title} is not on PATH: is this a machine of the cluster?"
            )
        return [
            *(SHELL, "-c", _SUBMIT, str(what.directory / "submitted"), command[0]),
            *what.options.extra,
            *command[1:],
        ]

    def script(self, what: Submission) -> str:
        """Return the script that PSI/J makes of a submission: what is needed, and a call of our script.

        Raises:
            ValueError: the executor writes nothing of something that was asked for.
        """
        needs, options = what.resources, what.options
        wanted: dict[str, Any] = {
            "queue": options.queue,
            "account": options.account,
            "reservation": options.reservation,
            "nodes": needs.nodes,
            "cpus": needs.cpus,
            "memory": needs.memory,
            "gpus": needs.gpus or None,
        }
        wanted = {name: value for name, value in wanted.items() if value is not None}
        text = self._rendered(what, wanted)
        for name in wanted:
            if text != self._rendered(what, {**wanted, name: None}):
                continue
            if name == "cpus" and needs.cpus == 1:
                continue
            if name == "cpus" and not needs.gpus:  # some know of processes alone
                return self._rendered(what, {**wanted, "cpus": None, "processes": needs.cpus})
            raise ValueError(f"{name}: {self.title} has no words for it")
        return text

    def _rendered(self, what: Submission, wanted: Mapping[str, Any]) -> str:
        from psij import Job, JobAttributes, JobSpec, ResourceSpecV1
        from psij.executors.batch.batch_scheduler_executor import _attrs_to_mustache
        from psij.executors.batch.template_function_library import ALL

        named = {self._known.name: what.name} if self._known.name else {}
        attributes = JobAttributes(
            queue_name=wanted.get("queue"),
            account=wanted.get("account"),
            reservation_id=wanted.get("reservation"),
            custom_attributes={**named, **_as_text(what.options.attributes)},
        )
        resources = ResourceSpecV1(
            node_count=wanted.get("nodes"),
            processes_per_node=wanted.get("processes"),
            cpu_cores_per_process=wanted.get("cpus"),
            gpu_cores_per_process=wanted.get("gpus"),
            memory=wanted.get("memory"),
        )
        job = Job(JobSpec(str(what.script), attributes=attributes, resources=resources))
        context: dict[str, object] = {
            "job": job,
            "custom_attributes": _attrs_to_mustache(job),
            "env": [],
            "psij": {
                "lib": ALL,
                # Whose exit code is the job's: what PSI/J writes after it would go into what may be gone.
                "launch_command": ["exec", "/bin/bash", str(what.script)],
                "script_dir": str(what.directory),
            },
        }
        if what.walltime is not None:
            attributes.duration = timedelta(minutes=max(1, -(-what.walltime // 60)))
            # Cobalt's template calls it so, and PSI/J does not give it that.
            context["formatted_job_duration"] = self._executor._format_duration(attributes.duration)
            context["duration"] = context["formatted_job_duration"]
        text = io.StringIO()
        self._executor.generate_submit_script(job, context, text)
        return text.getvalue()

    def submitted(self, text: str) -> str | None:
        """Have the executor read its id."""
        try:
            return str(self._executor.job_id_from_submit_output(text)) if text.strip() else None
        except Exception:  # each says in its own way that there is none
            return None

    def listing(self, user: str) -> list[str]:
        """Ask for the states of no job in particular, which all of them answer with those that there are."""
        return self._asking([])

    def listed(self, text: str) -> Iterator[Row]:
        """Have the executor read it."""
        from psij.executors.batch.batch_scheduler_executor import UNKNOWN_ERROR

        code, _, said = text.partition("\n")
        if int(code) and not said.strip():
            said = UNKNOWN_ERROR  # so does PSI/J, and some take it for "there are none"
        try:
            found = self._executor.parse_status_output(int(code), said)
        except RuntimeError as error:  # what executors raise where the scheduler's program has failed
            raise BackendUnavailableError(str(error)) from error
        for native_id, status in found.items():
            yield row(native_id, status.state.name, status.exit_code, status.message or "")

    def history(self, jobs: Sequence[str], user: str, since: float) -> list[str] | None:
        """Ask for the states of those that are not listed."""
        return self._asking(jobs) if jobs else None

    recorded = listed

    def _asking(self, ids: Sequence[str]) -> list[str]:
        return [SHELL, "-c", _ASK, SHELL, *self._executor.get_status_command(ids)]

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """End them, one after the other; what is complained of is printed with its id before it."""
        lines = []
        for native_id in ids:
            command = shlex.join(self._executor.get_cancel_command(native_id))
            complaint = f'printf "%s\\n" {shlex.quote(native_id)}" $? $(echo $said)"'
            lines.append(f"said=$({command} 2>&1) || {complaint}")
        return [SHELL, "-c", "\n".join([*lines, "true"])]

    def cancelled(self, code: int, text: str) -> Iterator[str]:
        """Have the executor say of each complaint whether it is one."""
        from psij.executors.batch.batch_scheduler_executor import InvalidJobStateError

        for line in text.splitlines():
            native_id, number, complaint = (*line.split(" ", 2), "", "")[:3]
            if not number.isdecimal():
                continue
            try:
                self._executor.process_cancel_command_output(int(number), complaint)
            except InvalidJobStateError:
                continue  # it has ended
            except Exception:  # each refuses in its own way
                yield native_id

    def split_id(self, native_id: str) -> tuple[str, int | None]:
        """There are no arrays."""
        return native_id, None

    def variables(self, options: Any) -> Mapping[str, str]:
        """Have the shell find the programs where they are configured to be."""
        if options.programs is None:
            return {}
        self._path = f"{options.programs}:{os.environ.get('PATH', os.defpath)}"
        return {"PATH": self._path}


def row(native_id: str, state: str, exit_code: int | None, message: str) -> Row:
    """Return what PSI/J says of a job, in our words."""
    if state in ("NEW", "QUEUED"):
        return Row(native_id, JobStatus.QUEUED, message=message)
    if state == "ACTIVE":
        return Row(native_id, JobStatus.RUNNING)
    if state == "COMPLETED":
        return Row(native_id, JobStatus.DONE)
    if state == "CANCELED":
        return Row(native_id, JobStatus.CANCELLED)
    reason = "walltime" if "time limit" in message else "exit-code"
    said = f"PSI/J says that it has failed{message and ': '}{message}"
    return Row(native_id, JobStatus.ERROR, reason=reason, exit_code=exit_code, message=said)


def _as_text(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return attributes as directives have them; what is true or false is so in the words of TOML."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in attributes.items()
    }
