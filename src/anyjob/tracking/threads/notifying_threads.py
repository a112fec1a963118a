"""Which threads tell of jobs right now: what they call must not wait to be told of another one.

A backend's jobs are told of by one thread. A hook or a callback that waits on it for another of them holds
up the one that would tell it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyjob.errors import JobError

_here = threading.local()


@contextmanager
def telling(teller: object) -> Iterator[None]:
    """While it is entered, this thread tells of the jobs that this teller tells of."""
    before: tuple[object, ...] = getattr(_here, "tellers", ())
    _here.tellers = (*before, teller)
    try:
        yield
    finally:
        _here.tellers = before


def check_may_wait(job: Any) -> None:
    """Refuse to wait here for a job that this thread itself would have to tell of.

    Raises:
        JobError: that is so: the wait would not end.
    """
    tellers = getattr(_here, "tellers", ())
    if tellers and job._teller() in tellers:
        raise JobError(
            f"a hook or callback waits for job {job.job_id()!r} on the thread that tells of the jobs of "
            f"backend {job.backend()!s}: it would wait for ever; ask for its status(), use "
            "add_done_callback, or wait on a thread of your own"
        )
