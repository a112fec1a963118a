"""What an author writes: the words of one scheduler, as functions that can be tested without it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from anyjob.resources import Resources
from anyjob.status import JobStatus

TIME_TO_REQUEUE = 60.0
"""Seconds that a job has to end and to ask for another attempt, before the scheduler ends it."""
_PLAIN_ID = re.compile(r"(.+)_(\d+)")


class Submission(NamedTuple):
    """What is handed over by one call: one job, or an array of jobs that need the same.

    Args:
        name: what the scheduler is to call it: ASCII, and it ends in our id, by which it is found again.
            Of jobs whose names differ: what these begin with.
        tasks: how many tasks the array has; None: it is no array.
        resources: what each needs, ``restartable``, and the ``tags`` that all have. Its ``walltime`` is
            kept to by us, too.
        options: the ``JobOptions`` of the backend.
        script: the file that the script is in, where the dialect has asked for one (`Dialect.script_file`).
        directory: where ``log-0``, or ``log-N`` of each task counted from 0, takes what the scheduler itself
            says of a job, if it can be told to add that to a file.
        pack: how many jobs each runs, one after the other.
    """

    name: str
    tasks: int | None
    resources: Resources
    options: Any
    script: Path | None = None
    directory: Path | None = None
    pack: int = 1

    @property
    def walltime(self) -> float | None:
        """Seconds to ask for: more than the walltime where a job that reaches it is started anew."""
        limit = self.resources.walltime
        if limit is None:
            return None
        return limit * self.pack + TIME_TO_REQUEUE * bool(self.resources.on_walltime)


class Row(NamedTuple):
    """What the scheduler says of a job, or of tasks of an array that are alike.

    Args:
        job: its id of the job, or of the whole array.
        status: where it is.
        tasks: the tasks that it is about; None where the job is no array.
        name: what it is called: one that does not end in our id is not ours. Empty where that is not told:
            the id alone is believed then, also where the scheduler gives one anew.
        reason: where it has failed, why: one of those of `anyjob.Outcome`.
        message: the same, or why it waits, in the scheduler's words.
        attempt: which start this is; 0 where that is not told.
        requeued: whether it has started before, and waits to start anew.
        stuck: whether it will not start by itself any more: it is given up, with the ``message``.
        unlaunched: whether its script could not be started, as where its node does not see the spool.
        exit_code: of its script, where it has ended so.
        signal: that which has ended it.
        started: in seconds since 1970; of one that waits, when it is expected to start.
        ended: in seconds since 1970.
        host: the node that its script runs on.
        cancelled_by: who has cancelled it, in words.
        owner: whose it is, where the listing tells of others', too; empty: the user's.
        number: which it is of those that were handed over together, from 0, where each has an id of its own.
    """

    job: str
    status: JobStatus
    tasks: tuple[range, ...] | None = None
    name: str = ""
    reason: str | None = None
    message: str = ""
    attempt: int = 0
    requeued: bool = False
    stuck: bool = False
    unlaunched: bool = False
    exit_code: int | None = None
    signal: int | None = None
    started: float | None = None
    ended: float | None = None
    host: str = ""
    cancelled_by: str = ""
    owner: str = ""
    number: int | None = None


class Dialect:
    """The words of a batch scheduler. A subclass brings the first five methods, and says what differs."""

    title = "the scheduler"
    """What messages call it."""

    # --- ids ------------------------------------------------------------------------------------

    job_variables: tuple[str, ...] = ()
    """The variables of a job that tell its id, or that of its array: the first that is set counts."""
    task_variable = ""
    """The variable that tells the number of a task; empty where there are no arrays."""
    restarts_variable = ""
    """The variable that tells how often a job was started before, where there is one."""
    first_task = 0
    """The number of an array's first task."""
    array_limit: int | None = 1000
    """Tasks that an array may have, unless `limit` says more; None: there are none, each job is by itself."""

    throttles = False
    """Whether an array can be told how many of its tasks run at a time: ``options.throttle``."""

    # --- what programs complain of: parts of what they print --------------------------------------

    away: tuple[str, ...] = ()
    """It cannot be reached: nothing was done."""
    unsure: tuple[str, ...] = ()
    """It may have done what it was asked, or not."""
    denied: tuple[str, ...] = ()
    """It does not believe who we are."""
    nothing: tuple[str, ...] = ()
    """There is nothing to list: an answer, and no error."""
    no_history: tuple[str, ...] = ()
    """It keeps no history."""
    too_large: tuple[str, ...] = ()
    """The array has too many tasks: it is handed over in parts."""

    # --- how it treats jobs -----------------------------------------------------------------------

    foreign_variables: tuple[str, ...] = ()
    """Patterns (``ACME_*``) of the variables of an enclosing job, which none of ours is to have."""
    cluster_variables: tuple[str, ...] = ()
    """Those of them that say which cluster is meant: they stay."""
    job_owns: tuple[str, ...] = ("*",)
    """Patterns of the variables of which a job keeps what the scheduler has set, whatever the caller has."""
    end_signals: tuple[str, ...] = ()
    """Signals beside TERM by which it announces that it will end a job: ``("USR2",)``."""
    ignored_signals: tuple[str, ...] = ()
    """Signals that it sends to jobs and that mean nothing to them."""
    reserved_exit_codes: tuple[int, ...] = ()
    """Exit codes that it does not take for an end: it starts the job anew, or holds it."""
    requeue: tuple[int | str, ...] = ()
    """How a job has itself started anew under its id: the exit code to end with, and, where that is not
    enough, a program to be run there before, in whose arguments ``$NAME`` is a variable of the job. Empty: it
    cannot."""
    forgets_deleted = False
    """Whether a job that is deleted while it waits leaves no record."""
    may_miss_cancel = False
    """Whether a cancel may be lost that comes while a job is being started, though it was accepted."""
    passes_environment = False
    """Whether a job gets the variables of the program that submits it: that gets as few as may be, then."""
    script_file = False
    """Whether the script is given as a file, and not by stdin."""
    records_submission = False
    """Whether `submit` leaves what it prints in the file ``submitted`` of what is submitted, too: for
    a scheduler that does not tell the names of jobs, by which they are found again else."""

    # --- what an author writes --------------------------------------------------------------------

    def submit(self, what: Submission) -> list[str]:
        """Return the program, and its arguments, that submits what is described.

        Raises:
            ValueError: it cannot be asked for here: the jobs are rejected with this message.
        """
        raise NotImplementedError

    def arrays(self, options: Any) -> bool:
        """Say whether jobs of these options may be an array; else each is submitted by itself."""
        return True

    def submitted(self, text: str) -> str | Sequence[str] | None:
        """Read the id of the job, or of the array, out of what that prints; None where there is none.

        Where each task has an id of its own: these, in the order of the tasks.
        """
        raise NotImplementedError

    def listing(self, user: str) -> list[str]:
        """Return the program that lists all jobs of a user that have not ended."""
        raise NotImplementedError

    def listed(self, text: str) -> Iterable[Row]:
        """Read what that prints."""
        raise NotImplementedError

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Return the program that ends jobs, or ranges of tasks, by the ids that `id_of` makes."""
        raise NotImplementedError

    def cancelled(self, code: int, text: str) -> Iterable[str]:
        """Read the ids, of jobs or of tasks, that a cancel was refused for."""
        return ()

    def history(self, jobs: Sequence[str], user: str, since: float) -> list[str] | None:
        """Return the program that tells of jobs that have ended; None where there is no history.

        Args:
            jobs: their ids, or those of their arrays; none: all of the user.
            user: whose they are.
            since: none of them was submitted before, in seconds since 1970.
        """
        return None

    def recorded(self, text: str) -> Iterable[Row]:
        """Read what that prints."""
        return ()

    def limit(self) -> list[str] | None:
        """Return the program that tells how many tasks an array may have; None where there is none."""
        return None

    def read_limit(self, text: str) -> int | None:
        """Read what that prints; None where it does not tell."""
        return None

    def why_pending(self, job: str) -> list[str] | None:
        """Return the program that says why a job waits, or is stuck; None where its row says so."""
        return None

    def pending_reason(self, text: str) -> str:
        """Read what that prints."""
        return ""

    def id_of(self, job: str, first: int | None = None, last: int | None = None) -> str:
        """Return the id of a job; of a task of an array; or of its tasks from the first to the last."""
        if first is None:
            return job
        return f"{job}_{first}" if last is None or last == first else f"{job}_[{first}-{last}]"

    def split_id(self, native_id: str) -> tuple[str, int | None]:
        """Take an id of one job apart: the id of the job, or array, and the number of the task."""
        match = _PLAIN_ID.fullmatch(native_id)
        return (native_id, None) if match is None else (match[1], int(match[2]))

    def error_message(self, text: str) -> str:
        """Return in one line what a program complains of."""
        lines = dict.fromkeys(line.strip() for line in text.split("\n") if line.strip())
        return "; ".join(lines)

    def variables(self, options: Any) -> Mapping[str, str]:
        """Return variables for the programs, beside the caller's: what selects the cluster, say."""
        return {}
