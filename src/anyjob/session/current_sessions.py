"""The sessions that nobody hands on: the default one, and those in which pickled handles find their jobs.

It knows no class of a session, so that all that a session is made of may import it.
"""

from __future__ import annotations

import os

from anyjob import _typing as t

_default: t.Session | None = None
_by_state: dict[str, t.Session] = {}


def current_default() -> t.Session | None:
    """Return the default session, if there is one by now."""
    return _default


def set_default(session: t.Session | None) -> None:
    """Have this be the default session; None: there is none until one is needed."""
    global _default
    _default = session


def default_of(kind: type[t.Session]) -> t.Session:
    """Return the default session; it is made at the first use, of files and environment as they are then."""
    if _default is None:
        from anyjob.config.settings import Config

        set_default(kind(Config.load(), state=os.environ.get("ANYJOB_STATE")))
    assert _default is not None
    return _default


def find_anywhere(kind: type[t.Session], job_id: str, state: str) -> t.Any:
    """Return a handle on the job of a ledger: what a pickled handle becomes."""
    from anyjob.tracking.tracker import Tracker

    job = Tracker.find(job_id)
    if job is not None:
        return job
    session = default_of(kind)
    if str(session.ledger.state) != state:
        session = _by_state.setdefault(state, kind(session.config, session.registry, state))
    return session.get_job(job_id)
