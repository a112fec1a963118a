"""What is seen of the jobs of a session while they go on: what views outside of the core are made of."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import SpecError
from anyjob.status import JOB_FINAL_STATES, JobStatus
from anyjob.text.printable import printable
from anyjob.views.details.refresh import refresh
from anyjob.views.live.changes import Changes
from anyjob.views.live.job_details import PART, details, log_part
from anyjob.views.live.job_graph import graph
from anyjob.views.live.job_list import JobList
from anyjob.views.live.loads import loads
from anyjob.views.queries import reported
from anyjob.views.report.usage import GROUPS, as_plain, summed_up

if TYPE_CHECKING:
    from anyjob.ledger.rows import Row

MOST_ASKED = 2_000
"""Open jobs that backends are asked about: the newest. Engines are asked in bulk."""
_OPEN = tuple(status for status in JobStatus if status not in JOB_FINAL_STATES)


class LiveView:
    """Reads what there is to see of the jobs of a session, as plain data; it writes nothing.

    Nothing in its text moves a cursor or hides other text. It is no markup: whoever shows it as such escapes
    it. Times are in seconds since 1970, sizes in bytes.

    Args:
        session: whose jobs.
        limit: how many of them are listed at most: the newest.
    """

    def __init__(self, session: t.Session, limit: int = 10_000) -> None:
        self._session = session
        self._changes = Changes(session.ledger.path)
        self._list = JobList(session.ledger, limit)

    def changed(self) -> bool:
        """Tell whether anything was written since this was asked last: that costs next to nothing."""
        return self._changes.any()

    def jobs(self, newest: int | None = None) -> dict[str, Mapping[str, Any]]:
        """Return the jobs by id, the newest first; what has not changed is the same object as before.

        Args:
            newest: only so many, which takes less time.
        """
        return self._list.read(newest)

    def counts(self) -> dict[str, int]:
        """Return how many jobs there are in each state, listed or not."""
        ledger = self._session.ledger
        return ledger.counts() if ledger.exists else {}

    def ask(self) -> None:
        """Have the backends of open jobs asked where these are; what they say is in the ledger then.

        It may take as long as their engines do. Those of this machine's own queue need not be asked.
        """
        ledger = self._session.ledger
        if ledger.exists:
            refresh(self._session, ledger, ledger.select(states=_OPEN, limit=MOST_ASKED))

    def loads(self) -> list[dict[str, Any]]:
        """Return what the backends are busy with that have open jobs.

        Each has a ``name``, how many jobs are ``running`` and ``queued``, and how many cores are ``taken`` of
        those that are ``there``, which is None where that is not known.
        """
        return [{**load._asdict(), "name": printable(load.name)} for load in loads(self._session)]

    def details(self, job_id: str) -> dict[str, Any] | None:
        """Return what is known of a job, and why it is where it is; None where there is no such job."""
        row = self._row(job_id)
        return None if row is None else details(self._session, row)

    def log(
        self, job_id: str, stream: str = "stdout", begin: int | None = None, size: int = PART
    ) -> dict[str, Any] | None:
        """Return a part of what a job has written; None where there is no such job.

        It has ``begin``, ``end`` (where the next part begins), ``text`` and ``trouble``, which says why it
        cannot be read.

        Args:
            job_id: which job.
            stream: ``stdout`` or ``stderr``.
            begin: an offset in bytes; None: of the last that it has written, as far as that is seen here.
            size: bytes at most.

        Raises:
            JobError: a job has no such stream.
        """
        row = self._row(job_id)
        return None if row is None else log_part(self._session, row, stream, begin, size)._asdict()

    def graph(self, job_id: str) -> dict[str, Any] | None:
        """Return all that a job is tied to; None where there is no such job.

        ``nodes`` are jobs that are called the same and start after the same: each has a ``title``, its states
        in ``words``, the ``state`` that says most, and the first of its ``jobs``. ``edges`` are pairs of
        their indices with the condition, ``from`` what has to end before.
        """
        row = self._row(job_id)
        return None if row is None else graph(self._session.ledger, row)

    def usage(self, by: Sequence[str] = ("backend",), since: float | None = None) -> list[dict[str, Any]]:
        """Return how many jobs there are, how long they ran, what they used of what they asked for, and cost.

        Those that were run anew count, too. The figures are those of ``anyjob usage --json``.

        Args:
            by: what has a line of its own: ``backend``, ``name``, ``kind``, ``host``, ``day``.
            since: only those submitted since then.

        Raises:
            SpecError: jobs cannot be summed up by one of these.
        """
        for name in by:
            if name not in GROUPS:
                raise SpecError(f"jobs are summed up by {', '.join(GROUPS)}, not by {name!r}")
        ledger = self._session.ledger
        jobs = reported(ledger, ledger.select(since=since), with_work=False) if ledger.exists else []
        told = [as_plain(by, group) for group in summed_up(jobs, by, time.time())]
        return [{**each, **{name: printable(each[name]) for name in by}} for each in told]

    def _row(self, job_id: str) -> Row | None:
        ledger = self._session.ledger
        return ledger.rows([job_id]).get(job_id) if ledger.exists else None

    def close(self) -> None:
        """Close what it reads by; the session stays open."""
        self._changes.close()
