"""What is seen of the jobs of a session while they go on: what views outside of the core are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anyjob.views.live.changes import Changes
from anyjob.views.live.job_list import JobList

if TYPE_CHECKING:
    from anyjob.session.facade import Session


class LiveView:
    """Reads what there is to see of the jobs of a session, as plain data; it writes nothing.

    Nothing in its text moves a cursor or hides other text. It is no markup: whoever shows it as such escapes
    it. Times are in seconds since 1970, sizes in bytes.

    Args:
        session: whose jobs.
        limit: how many of them are listed at most: the newest.
    """

    def __init__(self, session: Session, limit: int = 10_000) -> None:
        self._session = session
        self._changes = Changes(session.ledger.path)
        self._list = JobList(session.ledger, limit)

    def changed(self) -> bool:
        """Tell whether anything was written since this was asked last: that costs next to nothing."""
        return self._changes.any()

    def jobs(self) -> dict[str, Mapping[str, Any]]:
        """Return the jobs by id, the newest first; what has not changed is the same object as before."""
        return self._list.read()

    def counts(self) -> dict[str, int]:
        """Return how many jobs there are in each state, listed or not."""
        ledger = self._session.ledger
        return ledger.counts() if ledger.exists else {}

    def close(self) -> None:
        """Close what it reads by; the session stays open."""
        self._changes.close()
