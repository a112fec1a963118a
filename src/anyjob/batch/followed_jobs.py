"""What is known of jobs that have not ended: what the nodes have noted in the spool, and our cancels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from anyjob.batch.dialect import Row
from anyjob.batch.files import submission
from anyjob.batch.files.finding import memberships
from anyjob.batch.files.journal import Journal
from anyjob.batch.files.membership import Membership
from anyjob.batch.queue import Listing, Queue
from anyjob.orders import Observation, Ticket
from anyjob.outcome import Outcome


class FollowedSubmission:
    """A submission that is followed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = submission.size(path)
        self.journal = Journal(path)
        self.jobs: dict[int, FollowedJob] = {}
        self.settled: set[int] = set()


class FollowedJob:
    """What is known of one job that has not ended."""

    __slots__ = (
        "cancelled",
        "end_checked",
        "end_noted",
        "ended_since",
        "last_observation",
        "membership",
        "outcome",
        "started_attempt",
        "submission",
        "unlisted_since",
    )

    def __init__(self, membership: Membership | None, followed: FollowedSubmission | None) -> None:
        self.membership = membership
        self.submission = followed
        self.started_attempt = 0
        self.end_noted = False
        self.cancelled = False
        self.end_checked = False
        self.ended_since: float | None = None  # as the scheduler says
        self.unlisted_since: float | None = None  # by the scheduler
        self.last_observation: Observation | None = None
        self.outcome: Outcome | None = None

    def row(self, ticket: Ticket, listing: Listing) -> Row | None:
        """Return what is said of it; None where that is nothing, or of a job that has its id by now."""
        return listing.get(ticket.native_id, self.submission.path.name if self.submission else "")


class FollowedJobs:
    """The jobs of one backend that have not ended, each from when somebody first asks about it.

    Args:
        queue: told when what it last heard of the scheduler may be old.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._jobs: dict[str, FollowedJob] = {}
        self._submissions: dict[Path, FollowedSubmission] = {}

    def get(self, job_id: str) -> FollowedJob | None:
        """Return what is known of a job; None of one that is not followed."""
        return self._jobs.get(job_id)

    def follow(self, tickets: Sequence[Ticket]) -> dict[str, FollowedJob]:
        """Return what is known of jobs, by their ids; those that are new are followed from now on."""
        new = [ticket for ticket in tickets if ticket.job_id not in self._jobs]
        here = [ticket for ticket in new if ticket.spool is not None]
        found: dict[str, Membership] = {}
        if here and here[0].spool is not None:
            root = here[0].spool.parent.parent
            found = memberships(root, [ticket.job_id for ticket in here], self._queue.dialect)
        for ticket in new:
            self._add(ticket, found.get(ticket.job_id))
        return {ticket.job_id: self._jobs[ticket.job_id] for ticket in tickets}

    def _add(self, ticket: Ticket, membership: Membership | None) -> None:
        followed = None if membership is None else self._submission(membership.submission)
        job = self._jobs[ticket.job_id] = FollowedJob(membership, followed)
        if not self._queue.was_submitted_here(ticket.native_id):
            self._queue.invalidate()  # what was said of it, if anything, may be old
        if membership is not None and followed is not None:
            followed.jobs[membership.position] = job
            followed.journal = Journal(followed.path)  # read once more, for one that comes later
        # Of what is ours no submission is left where all its jobs have ended, as another process has seen.
        job.end_noted = followed is None and ticket.spool is not None

    def _submission(self, path: Path) -> FollowedSubmission:
        followed = self._submissions.get(path)
        if followed is None:
            followed = self._submissions[path] = FollowedSubmission(path)
        return followed

    def read_journals(self, jobs: Mapping[str, FollowedJob]) -> bool:
        """Read the entries that the nodes have appended; return whether there was anything new."""
        changed = False
        for followed in {job.submission for job in jobs.values() if job.submission is not None}:
            if followed.journal.is_gone():
                for job in list(followed.jobs.values()):
                    job.end_noted = True
            for letter, number, attempt in followed.journal.new_entries():
                noted = followed.jobs.get(number)
                if noted is None:
                    continue
                if letter == "S" and attempt > noted.started_attempt:
                    noted.started_attempt, noted.end_noted, changed = attempt, False, True
                elif letter == "E" and not noted.end_noted:
                    noted.end_noted, changed = True, True
                elif letter == "X" and not noted.cancelled:
                    noted.cancelled = True
                    self._queue.invalidate()
        if changed:
            self._queue.note_activity()
        return changed

    def cancelled(self, tickets: Sequence[Ticket]) -> None:
        """Note that these are being cancelled by us, for all that follow them."""
        numbers: dict[FollowedSubmission, list[int]] = {}
        for job in self.follow(tickets).values():
            job.cancelled = True
            if job.membership is not None and job.submission is not None:
                numbers.setdefault(job.submission, []).append(job.membership.position)
        for followed, some in numbers.items():
            followed.journal.append("X", some)
        self._queue.invalidate()

    def forget(self, job_ids: Iterable[str]) -> None:
        """Let go of what was kept for jobs; the last of a submission takes its directory along."""
        touched: dict[FollowedSubmission, list[int]] = {}
        for job_id in job_ids:
            job = self._jobs.pop(job_id, None)
            if job is None or job.membership is None or job.submission is None:
                continue
            followed, position = job.submission, job.membership.position
            followed.jobs.pop(position, None)
            followed.settled.add(position)
            untold = touched.setdefault(followed, [])
            if not (job.end_noted or job.cancelled):
                untold.append(position)
        for followed, untold in touched.items():
            if len(followed.settled) == followed.size:
                submission.remove(followed.path)
            elif untold:
                followed.journal.append("G", untold)  # for who removes what is forgotten
            if not followed.jobs:
                self._submissions.pop(followed.path, None)
