"""The words of Grid Engine. Pure: testable without it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from math import ceil
from xml.etree import ElementTree

from anyjob.sdk import Dialect, Row, Submission
from anyjob_gridengine.states import RESCHEDULED, how_it_ended, status_of, task_ranges, timestamp

MOST_REASONS = 5
"""Lines that are told of why a job waits, at most: the scheduler has one for each queue."""


class GridEngine(Dialect):
    """Grid Engine 8, as its programs talk."""

    title = "Grid Engine"
    job_variables = ("JOB_ID",)
    task_variable = "SGE_TASK_ID"  # "undefined" where there are no tasks
    restarts_variable = "RESTARTED"
    first_task = 1
    throttles = True
    array_limit = 75000  # max_aj_tasks, as it comes
    away = (
        *("unable to contact qmaster", "unable to send message to qmaster", "got select error"),
        *("Unable to initialize environment", "cell directory"),  # on a file system that may be away
    )
    unsure = ("failed receiving gdi request", "got no message", "got read error", "got connection timeout")
    denied = ("is no submit host", "is neither submit nor admin host")
    nothing = ("not found",)
    too_large = ("max_aj_tasks", "more than")
    foreign_variables = (
        *("SGE_*", "JOB_ID", "JOB_NAME", "JOB_SCRIPT", "QUEUE", "NSLOTS", "NHOSTS", "NQUEUES", "PE"),
        *("PE_HOSTFILE", "RESTARTED", "REQUEST", "REQNAME", "ARC", "ENVIRONMENT", "TMP", "TMPDIR"),
    )
    cluster_variables = ("SGE_ROOT", "SGE_CELL", "SGE_QMASTER_PORT", "SGE_EXECD_PORT", "SGE_CLUSTER_NAME")
    # All else that a job finds is its daemon's, which knows nothing of the job.
    job_owns = (*foreign_variables, "*_VISIBLE_DEVICES", "SGE_HGR_*", "OMP_NUM_THREADS", "HOSTNAME")
    end_signals: tuple[str, ...] = ("USR2",)  # a notice of the KILL to come, by -notify
    ignored_signals: tuple[str, ...] = ("USR1",)  # a notice of a STOP to come
    reserved_exit_codes = (99, 100)  # starts it anew, for ever; holds it in an error state
    requeue = (99,)
    forgets_deleted = True
    may_miss_cancel = True  # its daemon drops the signal of a qdel that comes while it starts a job

    def __init__(self, *, notify: bool = True) -> None:
        if not notify:
            self.end_signals, self.ignored_signals = (), ()

    def submit(self, what: Submission) -> list[str]:
        """Return the ``qsub``."""
        needs, options = what.resources, what.options
        if (needs.nodes or 1) > 1:
            raise ValueError(f"nodes={needs.nodes}: a job of this backend has one; ask for cpus, set `pe`")
        slots = needs.cpus or 1
        command = ["qsub", "-terse", "-N", what.name, "-S", "/bin/bash", "-o", "/dev/null", "-j", "y"]
        command += ["-wd", "/"]
        command += ["-r", "y" if needs.restartable else "n", *(["-notify"] if self.end_signals else [])]
        at_a_time = ["-tc", str(options.throttle)] if options.throttle else []
        command += ["-t", f"1-{what.tasks}", *at_a_time] if what.tasks is not None else []
        command += ["-pe", options.pe, str(slots)] if slots > 1 else []
        for flag, value in (("-q", options.queue), ("-P", options.project), ("-A", options.account)):
            command += [flag, value] if value else []
        resources = list(options.resources)
        if what.walltime is not None:
            resources.append(f"h_rt={max(1, ceil(what.walltime))}")
        if needs.memory is not None:
            resources.append(f"{options.memory_resource}={ceil(needs.memory / slots / 2**20)}M")
        if needs.gpus:
            if options.gpu_resource is None:
                raise ValueError(f"gpus={needs.gpus}: name this cluster's resource for them: `gpu_resource`")
            resources.append(f"{options.gpu_resource}={needs.gpus}")
        return [*command, *(["-l", ",".join(resources)] if resources else []), *options.extra]

    def submitted(self, text: str) -> str | None:
        """Read ``7``, or ``7.1-3:1``."""
        for line in reversed(text.split("\n")):
            if match := re.fullmatch(r"(\d+)(\.\d+-\d+:\d+)?", line.strip()):
                return match[1]
        return None

    def listing(self, user: str) -> list[str]:
        """Return the ``qstat``."""
        return ["qstat", "-xml", "-r", "-u", user]

    def listed(self, text: str) -> Iterator[Row]:
        """Read XML; ``-r`` has it tell names in full."""
        for job in ElementTree.fromstring(text).iter("job_list") if text.strip() else ():
            said = {each.tag: each.text or "" for each in job}
            status, message = status_of(said["state"])
            yield Row(
                said["JB_job_number"],
                status,
                tasks=task_ranges(said.get("tasks", "")),
                name=said.get("full_job_name") or said["JB_name"],
                message=message,
                requeued="R" in said["state"],
                stuck="E" in said["state"],
                host=said.get("queue_name", "").partition("@")[2],
            )

    def history(self, jobs: Sequence[str], user: str, since: float) -> list[str]:
        """Return the ``qacct``: each reads the whole of the accounting, so it is one, whatever the jobs."""
        began = time.strftime("%Y%m%d%H%M", time.localtime(since - 60))
        return ["qacct", "-o", user, "-b", began, "-j", jobs[0] if len(jobs) == 1 else "*"]

    def recorded(self, text: str) -> Iterator[Row]:
        """Read records, each of which begins with a line of ``=``."""
        for record in re.split(r"^=+$", text, flags=re.MULTILINE):
            said = dict(re.findall(r"^(\S+)[ \t]+(\S.*)$", record, re.MULTILINE))
            if "jobnumber" not in said or said["failed"].split()[0] in RESCHEDULED:
                continue
            task = said.get("taskid", "").strip()
            yield Row(
                said["jobnumber"].strip(),
                tasks=(range(int(task), int(task) + 1),) if task.isdecimal() else None,
                name=said["jobname"].strip(),
                started=timestamp(said["start_time"]),
                ended=timestamp(said["end_time"]),
                host=said["hostname"].strip(),
                **how_it_ended(said),
            )

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Return the ``qdel``."""
        return ["qdel", *ids]

    def cancelled(self, code: int, text: str) -> Iterator[str]:
        """Read ``denied: job "7" does not exist`` and ``job "7" task "3" does not exist``."""
        for job, task in re.findall(r'job "(\d+)"(?: task "(\d+)")? does not exist', text):
            yield self.id_of(job, int(task) if task else None)

    def why_pending(self, job: str) -> list[str]:
        """Return the ``qstat``, and the ``qalter`` that verifies it as if nothing else ran.

        It changes nothing of the job. The ``qstat`` says why it waits only where ``schedd_job_info`` is on.
        """
        return ["sh", "-c", 'qstat -j "$0" && { qalter -w v "$0" 2>&1 || :; }', job]

    def pending_reason(self, text: str) -> str:
        """Read the reasons of an error state, why it can never run, or what there is against it now."""
        found = re.findall(r"^error reason\s+\d+:\s+(?:\S+ \S+ \[[^]]*\]: )?(.*)$", text, re.MULTILINE)
        if found:
            return "; ".join(dict.fromkeys(found))
        _, _, info = text.partition("\nscheduling info:")
        told = dict.fromkeys(line.strip() for line in info.split("\n") if line.strip())
        against = [line for line in told if not line.startswith(("Job ", "verification: "))]
        if "verification: no suitable queues" not in text:
            return "; ".join(against[:MOST_REASONS])
        never = dict.fromkeys(re.findall(r"^Job \d+ (cannot run .*)$", text, re.MULTILINE))
        return "no queue can ever run it as it is: " + "; ".join([*never][:MOST_REASONS] or ["none suits it"])

    def id_of(self, job: str, first: int | None = None, last: int | None = None) -> str:
        """Return ``7``, ``7.3``, or ``7.3-5``."""
        if first is None:
            return job
        return f"{job}.{first}" if last is None or last == first else f"{job}.{first}-{last}"

    def split_id(self, native_id: str) -> tuple[str, int | None]:
        """Take ``7.3`` apart."""
        job, _, task = native_id.partition(".")
        return job, int(task) if task.isdecimal() else None

    def error_message(self, text: str) -> str:
        """Return what ``qsub`` complains of, without what it says of itself."""
        text = re.sub(r"^(Unable to run job: |error: |qsub: )+|^Exiting\.$", "", text, flags=re.MULTILINE)
        return super().error_message(text)
