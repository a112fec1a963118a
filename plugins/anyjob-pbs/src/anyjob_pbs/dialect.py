"""The words of OpenPBS and PBS Professional. Pure: testable without it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from anyjob import JobStatus
from anyjob.sdk import Dialect, Row, Submission

MANY = 20
"""Jobs that are asked about by their ids, at most: each costs a privileged connection of its own."""
LIMITS = {"-26": "memory", "-27": "memory", "-28": "walltime", "-29": "walltime"}
"""Exit statuses of jobs that PBS has ended at a limit: of memory, of cpu time, and the walltime."""
DELETED = "91"
"""The substate of a job that was deleted, whatever it has ended with."""
MAX_CODE = 255
"""What is above is a signal by which the script's shell was ended."""
KILLED = (137, 143)
"""What a shell ends with whose program was ended by KILL, or TERM: there is one above every script."""


class PBS(Dialect):
    """OpenPBS 23 and PBS Professional, as their programs talk."""

    title = "PBS"
    job_variables = ("PBS_JOBID",)
    task_variable = "PBS_ARRAY_INDEX"
    throttles = True
    array_limit = 10000  # max_array_size, as it comes
    away = (
        "cannot connect to server",
        "Couldn't connect to cluster",
        "Connection refused",
        "all reserved ports in use",
    )
    unsure = ("Premature end of message", "End of File", "Connection reset by peer")
    denied = ("Invalid credential",)
    nothing = ("Unknown Job Id", "Job has finished")
    no_history = ("not configured to maintain job history",)
    too_large = ("Array job exceeds server or queue size limit",)
    foreign_variables = ("PBS_*", "NCPUS", "TMPDIR")
    cluster_variables = ("PBS_SERVER", "PBS_CONF_FILE", "PBS_EXEC")
    # All else that a job finds is its daemon's, or of a login.
    job_owns = (*foreign_variables, "*_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    forgets_deleted = True  # where no history is kept

    def submit(self, what: Submission) -> list[str]:
        """Return the ``qsub``; ``-C ''`` has it take no line of the script for a directive."""
        needs, options = what.resources, what.options
        command = ["qsub", "-C", "", "-N", what.name, "-S", "/bin/bash", "-j", "oe", "-o", "/dev/null"]
        command += ["-r", "y" if needs.restartable else "n"]
        at_a_time = f"%{options.throttle}" if options.throttle else ""
        command += ["-J", f"0-{what.tasks - 1}{at_a_time}"] if what.tasks is not None else []
        for flag, value in (("-q", options.queue), ("-P", options.project), ("-A", options.account)):
            command += [flag, value] if value else []
        chunk = [f"ncpus={needs.cpus or 1}"]
        chunk += [f"mem={ceil(needs.memory / 2**20)}mb"] if needs.memory is not None else []
        chunk += [f"{options.gpu_resource}={needs.gpus}"] if needs.gpus else []
        command += ["-l", f"select={needs.nodes or 1}:{':'.join([*chunk, *options.chunk])}"]
        command += ["-l", f"place={options.place}"] if options.place else []
        command += ["-l", f"walltime={max(1, ceil(what.walltime))}"] if what.walltime is not None else []
        return [*command, *(word for each in options.resources for word in ("-l", each)), *options.extra]

    def submitted(self, text: str) -> str | None:
        """Read ``7.server``, or ``7[].server``."""
        return next((line for line in reversed(text.split()) if re.fullmatch(r"\d+(\[\])?\..+", line)), None)

    def listing(self, user: str) -> list[str]:
        """Return the ``qstat``, for each task, of all users: ``-u`` prints a table, where names are cut."""
        return ["qstat", "-t", "-f", "-F", "dsv"]

    def listed(self, text: str) -> Iterator[Row]:
        """Read a line for each job; arrays themselves, which their tasks tell of, are passed over."""
        for said in map(fields, text.splitlines()):
            if "Job Id" in said and "array" not in said:
                job = said.get("array_id", said["Job Id"])
                task = int(said["array_index"]) if "array_index" in said else None
                yield Row(
                    job,
                    tasks=None if task is None else (range(task, task + 1),),
                    name=said["Job_Name"],
                    owner=said["Job_Owner"].partition("@")[0],
                    started=timestamp(said.get("stime", "")),
                    host=re.split(r"[/+]", said.get("exec_host", ""))[0],
                    **(how_it_ended(said) if said["job_state"] in "FX" else where_it_is(said)),
                )

    def history(self, jobs: Sequence[str], user: str, since: float) -> list[str]:
        """Return the ``qstat``."""
        return ["qstat", "-x", "-t", "-f", "-F", "dsv", *(jobs if len(jobs) <= MANY else ())]

    def recorded(self, text: str) -> Iterator[Row]:
        """Read the same of those that have ended."""
        return self.listed(text)

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Return the ``qdel``."""
        return ["qdel", *ids]

    def cancelled(self, code: int, text: str) -> Iterator[str]:
        """Read the ids that are complained of; of a range, each."""
        complaints = (
            r"(?:Unknown Job Id|Job has finished|Unauthorized Request|connect to MOM"
            r"|Request invalid for state of job)\s+(\S+)"  # one that ends just now
        )
        for refused in re.findall(complaints, text):
            tasks = re.search(r"\[(\d+)-(\d+)\]", refused)
            numbers = range(int(tasks[1]), int(tasks[2]) + 1) if tasks else ()
            yield from (self.id_of(refused, number) for number in numbers) if tasks else (refused,)

    def id_of(self, job: str, first: int | None = None, last: int | None = None) -> str:
        """Return ``7.server``, ``7[3].server``, or ``7[3-5].server``, whichever of these the first is."""
        number, _, server = job.partition(".")
        if first is None:
            return job
        tasks = f"{first}" if last is None or last == first else f"{first}-{last}"
        return f"{number.partition('[')[0]}[{tasks}].{server}"

    def split_id(self, native_id: str) -> tuple[str, int | None]:
        """Take ``7[3].server`` apart."""
        match = re.fullmatch(r"(\d+)\[(\d+)\](.*)", native_id)
        return (native_id, None) if match is None else (f"{match[1]}[]{match[3]}", int(match[2]))

    def error_message(self, text: str) -> str:
        """Return what a program complains of, without its own name, and without how it is used."""
        said, usage, _ = text.partition("usage: ")
        said = super().error_message(re.sub(r"^q\w+: ", "", said, flags=re.MULTILINE))
        return said or ("it does not know what it was called with" if usage else "")


def fields(line: str) -> dict[str, str]:
    """Read a line of ``-F dsv``, where a ``|`` in a value is written with a backslash before it."""
    found = re.findall(r"((?:[^|\\]|\\.)+)(?:\||$)", line.replace("Job Id: ", "Job Id=", 1))
    return dict(each.split("=", 1) for each in found if "=" in each)


def where_it_is(said: dict[str, str]) -> dict[str, Any]:
    """Return what is told of a job that has not ended, as fields of a row."""
    comment, starts = said.get("comment", ""), int(said.get("run_count", 0))
    if said["job_state"] not in "QHWTM":
        return {"status": JobStatus.RUNNING, "message": "suspended" if said["job_state"] in "SU" else ""}
    held = said["job_state"] == "H"
    return {
        "status": JobStatus.QUEUED,
        "message": comment or ("held" if held else ""),
        "requeued": starts > 0,
        "stuck": held and "s" in said.get("Hold_Types", "") and starts > 0,  # it has failed too often
    }


def how_it_ended(said: dict[str, str]) -> dict[str, Any]:
    """Return what is told of an end, as fields of a row."""
    code, message = said.get("Exit_status", ""), said.get("comment", "")
    ended = {"ended": timestamp(said.get("obittime", said.get("mtime", "")))}
    if not code or said.get("substate") == DELETED:  # by somebody, or with what it was to start after
        return {"status": JobStatus.CANCELLED, "message": message, **ended}
    number = int(code)
    if number == 0:
        return {"status": JobStatus.DONE, "exit_code": 0, **ended}
    if number < 0:
        reason = LIMITS.get(code, "node-failure")
        return {"status": JobStatus.ERROR, "reason": reason, "message": f"PBS ended it: {message}", **ended}
    if number > MAX_CODE or number in KILLED:
        by = number - MAX_CODE - 1 if number > MAX_CODE else number - 128
        return {"status": JobStatus.ERROR, "reason": "signal", "signal": by, **ended}
    return {"status": JobStatus.ERROR, "reason": "exit-code", "exit_code": number, **ended}


def timestamp(text: str) -> float | None:
    """Read a time, which is local; None where there is none."""
    try:
        return time.mktime(time.strptime(text, "%a %b %d %H:%M:%S %Y"))
    except (ValueError, OverflowError):
        return None
