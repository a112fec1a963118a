"""The words of Slurm. Pure: testable without it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from anyjob.sdk import Dialect, Row, Submission
from anyjob_slurm import rows

COMMENT_LENGTH = 1000
"""Characters of tags that go into Slurm's comment."""


class Slurm(Dialect):
    """Slurm 22.05 and later, as its programs talk."""

    title = "Slurm"
    job_variables = ("SLURM_ARRAY_JOB_ID", "SLURM_JOB_ID")
    task_variable = "SLURM_ARRAY_TASK_ID"
    restarts_variable = "SLURM_RESTART_COUNT"
    throttles = True
    array_limit = 1000  # of a cluster that has not changed MaxArraySize
    away = (
        "Unable to contact slurm controller",
        "Slurm backup controller in standby mode",
        "Unable to establish control",  # of the machine, whose name is not known
        "Unable to establish configuration source",
        "Unable to process configuration file",
        "fetch_config: DNS SRV lookup failed",
    )
    unsure = (
        "Socket timed out",
        "Zero Bytes were transmitted or received",
        "Unexpected message received",
        "Connection reset by peer",
        "Slurm temporarily unable to accept job",
    )
    denied = (
        "Invalid authentication credential",
        "Protocol authentication error",
        "Expired JWT",
        "Invalid JWT",
    )
    no_history = ("accounting storage is disabled",)
    too_large = ("Invalid job array specification",)
    foreign_variables = (
        *("SLURM_*", "SBATCH_*", "SRUN_*", "SALLOC_*", "SQUEUE_*", "SACCT_*", "SCANCEL_*", "SINFO_*"),
        "SCONTROL_*",
    )
    cluster_variables = ("SLURM_CONF", "SLURM_JWT")
    passes_environment = True
    requeue = (0, "scontrol", "requeue", "$SLURM_JOB_ID")

    def submit(self, what: Submission) -> list[str]:
        """Return the ``sbatch``."""
        command = ["sbatch", "--parsable", *_directives(what), *what.options.extra]
        for component in what.options.components:
            command += [":", _requeue(what), *_needs(what, component, component), *component.extra]
        return command

    def arrays(self, options: Any) -> bool:
        """Say whether such jobs may be an array: heterogeneous ones may not."""
        return not options.components

    def submitted(self, text: str) -> str | None:
        """Read ``7``, or ``7;cluster``; what a site's plugins print before it is passed over."""
        for line in reversed(text.split("\n")):
            job = line.strip().partition(";")[0]
            if job.isdecimal():
                return job
        return None

    def limit(self) -> list[str]:
        """Return the ``scontrol``."""
        return ["scontrol", "show", "config"]

    def read_limit(self, text: str) -> int | None:
        """Read MaxArraySize."""
        match = re.search(r"^MaxArraySize\s*=\s*(\d+)", text, re.MULTILINE)
        return int(match[1]) if match else None

    def listing(self, user: str) -> list[str]:
        """Return the ``squeue``, which tells of those, too, that have ended lately."""
        return ["squeue", "-h", "-t", "all", "-u", user, "-O", rows.QUEUE_FORMAT]

    def listed(self, text: str) -> Iterator[Row]:
        """Read what `rows.QUEUE_FORMAT` asks for."""
        return rows.queue_rows(text)

    def history(self, jobs: Sequence[str], user: str, since: float) -> list[str]:
        """Return the ``sacct``."""
        began = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(since - 60))
        which = ["-j", ",".join(jobs)] if jobs else ["-u", user, "-S", began]
        return ["sacct", "-n", "-X", "-P", "-o", rows.HISTORY_FORMAT, *which]

    def recorded(self, text: str) -> Iterator[Row]:
        """Read what `rows.HISTORY_FORMAT` asks for."""
        return rows.history_rows(text)

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Return the ``scancel``: TERM, and KILL after the cluster's KillWait."""
        return ["scancel", *ids]

    def cancelled(self, code: int, text: str) -> Iterator[str]:
        """Read the ids that are complained of."""
        yield from re.findall(r"job id (\d+(?:_\d+)?)[: ]", text)

    def error_message(self, text: str) -> str:
        """Return in one line what a program complains of, without its own name before it."""
        text = re.sub(r"^\s*\w+: (error: |fatal: )?", "", text, flags=re.MULTILINE)
        return super().error_message(
            re.sub(r"^\s*Batch job submission failed: ", "", text, flags=re.MULTILINE)
        )

    def variables(self, options: Any) -> Mapping[str, str]:
        """Return what selects the cluster, and how programs print."""
        conf = {} if options.conf is None else {"SLURM_CONF": str(options.conf)}
        return {"SLURM_BITSTR_LEN": "0", "SLURM_TIME_FORMAT": "standard", **conf}


def _directives(what: Submission) -> Iterator[str]:
    options, resources = what.options, what.resources
    yield f"--job-name={what.name}"
    if resources.tags:
        yield f"--comment={comment(resources.tags)}"
    if what.directory is not None:
        log = "log-0" if what.tasks is None else "log-%a"
        yield f"--output={escaped_directory(what.directory)}/{log}"
    yield "--open-mode=append"
    yield _requeue(what)
    if what.tasks is not None:
        yield f"--array=0-{what.tasks - 1}" + (f"%{options.throttle}" if options.throttle else "")
    if options.mail_type:
        yield f"--mail-type={','.join(options.mail_type)}"
    if options.mail_user is not None:
        yield f"--mail-user={options.mail_user}"
    yield from _needs(what, options, resources)


def _requeue(what: Submission) -> str:
    return "--requeue" if what.resources.restartable or what.resources.on_walltime else "--no-requeue"


def _needs(what: Submission, options: Any, resources: Any) -> Iterator[str]:
    """Return what is asked for one component; who pays, and for how long, is the same for all."""
    for directive, value in (
        ("partition", options.partition),
        ("account", what.options.account),
        ("qos", what.options.qos),
        ("constraint", options.constraint),
        ("reservation", what.options.reservation),
        ("gres", options.gres),
        ("ntasks", options.tasks),
        ("nodes", resources.nodes or options.nodes),
        ("cpus-per-task", resources.cpus),
        ("gpus", resources.gpus or None),
    ):
        if value is not None:
            yield f"--{directive}={value}"
    if options.exclusive:
        yield "--exclusive"
    if resources.memory is not None:
        yield f"--mem={ceil(resources.memory / 2**20)}M"
    if what.walltime is not None:
        yield f"--time={time_limit(what.walltime)}"


def time_limit(seconds: float) -> str:
    """Write a duration as ``days-hours:minutes:seconds``, rounded up to Slurm's whole minutes."""
    minutes = max(1, ceil(seconds / 60))
    return f"{minutes // 1440}-{minutes // 60 % 24:02}:{minutes % 60:02}:00"


def comment(tags: Mapping[str, str]) -> str:
    """Write tags as ``study=a,seed=1``, in one line."""
    text = ",".join(f"{key}={value}" for key, value in tags.items())
    printable = "".join(character if character.isprintable() else "_" for character in text)
    return printable.encode("utf-8", "replace").decode()[:COMMENT_LENGTH]


def escaped_directory(path: Path) -> str:
    """Write a directory so that sbatch takes no part of it for a pattern such as ``%j``.

    Raises:
        ValueError: there is no way to write it so.
    """
    if "\\" in str(path):
        raise ValueError(f"Slurm cannot write below {str(path)!r}, for the backslash: set the option `spool`")
    return str(path).replace("%", "%%")
