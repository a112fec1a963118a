"""The words of Flux. Pure: testable without it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from anyjob import JobStatus
from anyjob.sdk import Dialect, Row, Submission

QUEUED = ("DEPEND", "PRIORITY", "SCHED")
"""States of what has not started."""
KILLED = (137, 143)
"""What a job ends with whose program was ended by KILL, or TERM, as its shell tells."""
NOT_STARTED = {"alloc": "rejected", "dependency": "rejected", "exec": "node-failure"}
"""Exceptions of jobs whose script has not started, and the reasons that they are for us."""

_ID = re.compile(r"(?:ƒ|f)([1-9A-HJ-NP-Za-km-z]+)")


class Flux(Dialect):
    """Flux 0.88 and later, as its program talks."""

    title = "Flux"
    job_variables = ("FLUX_JOB_ID",)
    task_variable = "FLUX_JOB_CC"
    array_limit = 1000  # each is a job of its own
    away = ("Unable to connect to Flux", "Connection refused")
    unsure = ("Connection reset", "Broken pipe")
    nothing = ("JobID ",)  # … unknown
    foreign_variables = ("FLUX_*",)
    cluster_variables = ("FLUX_URI",)
    job_owns = ("FLUX_*", "*_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    passes_environment = True
    script_file = True

    def submit(self, what: Submission) -> list[str]:
        """Return the ``flux submit``. A number before the name tells which of those of an array a job is."""
        needs, options = what.resources, what.options
        if (needs.nodes or 1) > 1:
            raise ValueError(f"nodes={needs.nodes}: a job of this backend has one; ask for cpus")
        if needs.memory is not None:
            raise ValueError(
                "memory: Flux gives out none; leave it out, or ask for a node alone (option `exclusive`)"
            )
        if re.search(r"[{}]", str(what.script)):  # what stands in braces is replaced
            raise ValueError(f"Flux takes no braces in a path: set the option `spool`, now {what.directory}")
        name = what.name if what.tasks is None else f"{{cc}}.{what.name}"
        command = ["flux", "submit", f"--job-name={name}", "--input=/dev/null", "--cwd=/"]
        command += [f"--cc=0-{what.tasks - 1}"] if what.tasks is not None else []
        command += ["--ntasks=1", f"--cores-per-task={needs.cpus or 1}"]
        command += [f"--gpus-per-task={needs.gpus}"] if needs.gpus else []
        command += [f"--time-limit={max(1, ceil(what.walltime))}s"] if what.walltime is not None else []
        for flag in ("queue", "bank", "requires", "urgency"):
            value = getattr(options, flag)
            command += [f"--{flag}={value}"] if value is not None else []
        command += ["--exclusive"] if options.exclusive else []
        return [*command, *options.extra, "/bin/bash", str(what.script)]

    def submitted(self, text: str) -> str | list[str] | None:
        """Read a line for each job."""
        found = [id_of_text(line) for line in text.split() if _ID.fullmatch(line)]
        return found[0] if len(found) == 1 else found or None

    def listing(self, user: str) -> list[str]:
        """Return the ``flux jobs``: the user's own, and without ``-c 0`` a thousand of them at most."""
        return ["flux", "jobs", "--json", "-c", "0"]

    def listed(self, text: str) -> Iterator[Row]:
        """Read ``{"jobs": […]}``; or one job by itself, where one alone was asked for, and is known."""
        said = json.loads(text or '{"jobs": []}')
        for job in said.get("jobs", [said]):
            number = re.match(r"(\d+)\.", job.get("name", ""))
            yield Row(
                id_of_text(job["jobid"]),
                name=job.get("name", ""),
                number=int(number[1]) if number else None,
                started=job.get("t_run"),
                ended=job.get("t_inactive"),
                host=job.get("nodelist", ""),
                **(how_it_ended(job) if job["state"] == "INACTIVE" else where_it_is(job)),
            )

    def history(self, jobs: Sequence[str], user: str, since: float) -> list[str]:
        """Return the ``flux jobs``."""
        return ["flux", "jobs", "--json", *(jobs or ("-c", "0", f"--since={since - 60:.0f}"))]

    def recorded(self, text: str) -> Iterator[Row]:
        """Read the same of those that have ended."""
        return self.listed(text)

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Return the ``flux cancel``: TERM, and KILL after five seconds."""
        return ["flux", "cancel", *ids]

    def cancelled(self, code: int, text: str) -> Iterator[str]:
        """Read the ids that are complained of."""
        for job in re.findall(r"ERROR: (\S+): (?:job is inactive|unknown job id)", text):
            yield id_of_text(job)

    def id_of(self, job: str, first: int | None = None, last: int | None = None) -> str:
        """Return the id of a job, which each has, in ASCII: jobs themselves know it with another letter."""
        return id_of_text(job)

    def split_id(self, native_id: str) -> tuple[str, int | None]:
        """Return the id: it tells of no array."""
        return native_id, None

    def error_message(self, text: str) -> str:
        """Return what it complains of, without its own name."""
        return super().error_message(
            re.sub(r"^(flux-\w+: )?(ERROR: )?(\[Errno \d+\] )?", "", text, flags=re.M)
        )

    def variables(self, options: Any) -> Mapping[str, str]:
        """Return what has ids written in ASCII, and what selects the instance."""
        uri = {} if options.uri is None else {"FLUX_URI": options.uri}
        return {"FLUX_F58_FORCE_ASCII": "1", **uri}


def id_of_text(text: str) -> str:
    """Return an id in ASCII."""
    match = _ID.fullmatch(text)
    return text if match is None else f"f{match[1]}"


def where_it_is(job: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a job that has not ended, as fields of a row."""
    if job["state"] not in QUEUED:
        return {"status": JobStatus.RUNNING}
    waits_for = ", ".join(job.get("dependencies") or ())
    message = f"it waits for {waits_for}" if waits_for else "held" if job.get("urgency") == 0 else ""
    return {"status": JobStatus.QUEUED, "message": message}


def how_it_ended(job: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of an end, as fields of a row."""
    exception, code = job.get("exception") or {}, job.get("returncode", 0)
    kind, note = exception.get("type", ""), exception.get("note", "")
    if job["result"] == "COMPLETED":
        return {"status": JobStatus.DONE, "exit_code": 0}
    if job["result"] == "CANCELED":
        return {"status": JobStatus.CANCELLED, "message": note}
    if job["result"] == "TIMEOUT":
        return {"status": JobStatus.ERROR, "reason": "walltime", "message": f"Flux ended it: {note}"}
    if kind:
        reason = NOT_STARTED.get(kind, "node-failure")
        return {"status": JobStatus.ERROR, "reason": reason, "message": f"{kind}: {note}"}
    if code < 0 or code in KILLED:
        return {"status": JobStatus.ERROR, "reason": "signal", "signal": -code if code < 0 else code - 128}
    return {"status": JobStatus.ERROR, "reason": "exit-code", "exit_code": code}
