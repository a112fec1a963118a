"""Somebody asks to be told: a job is handed over that does so once others have ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from anyjob.retry import Retry
from anyjob.specs import Command, File

if TYPE_CHECKING:
    from anyjob.session.facade import Session
    from anyjob.taskjob import TaskJob

TEMPORARY = 75
"""The exit code of a failure that may be none later: EX_TEMPFAIL."""
AGAIN = Retry(5, on={TEMPORARY, "walltime", "lost"}, wait="10s", backoff=3, jitter=0.2)
"""Within 20 minutes or so: a server that is started anew is there by then."""
WALLTIME = "5m"
SLOTS = 4
OWN = {"notifications": SLOTS}
"""In place of what other backends of this machine share: who tells of some jobs need not wait for others."""


class Request(NamedTuple):
    """What is to be told, and how.

    Args:
        title: what the jobs are called.
        job_ids: of the jobs.
        channel: its name in the configuration, or options in place of that. Of a configured one nothing but
            the name goes into the ledger: what is secret of it is read when it is used.
    """

    title: str
    job_ids: list[str]
    channel: str | Mapping[str, Any]

    def encoded(self) -> bytes:
        """Return it as bytes."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def decoded(cls, data: bytes) -> Request:
        """The inverse of `encoded`."""
        return cls(**json.loads(data))


def submit(session: Session, request: Request, after: Sequence[str]) -> TaskJob[Any]:
    """Hand over the job that tells; return it.

    Args:
        session: in whose ledger the jobs are.
        request: what is to be told.
        after: ids or names of the same jobs.

    Raises:
        AnyjobError: as ``run`` does.
    """
    is_report = not isinstance(request.channel, str) and "report" in request.channel
    name = "report" if is_report else "notify"
    backend = session.get_backend("local", slots=SLOTS, shared=OWN)
    work = Command(
        [sys.executable, "-P", "-m", "anyjob.notifications.main"],
        stdin=File("request.json", request.encoded()),
    )
    job: TaskJob[Any] = backend.run(
        work, name=name, after_end=list(after), retries=AGAIN, restartable=True, walltime=WALLTIME
    )
    return job
