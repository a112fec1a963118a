"""Forgets jobs that have ended, and removes what they wrote and what a crash left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anyjob.errors import StateError
from anyjob.ledger.file.disk_reserve import Reserve
from anyjob.ledger.file.sql_lists import chunks
from anyjob.process.reporting import report
from anyjob.runtime.recording.content_store import ContentStore
from anyjob.spool import job_spool
from anyjob.spool.environment_file import JOB_FILE
from anyjob.text.units import parse_duration

if TYPE_CHECKING:
    from anyjob.ledger.store import Ledger

AT_ONCE = 1000
"""Jobs that are forgotten in one transaction, so that others can write in between."""
OLD = 3600.0
"""Seconds after which what no job in the ledger needs was left behind by a crash."""
SUBMITTED = frozenset({job_spool.INPUTS, job_spool.PAYLOAD, JOB_FILE})
"""What may be in the directory of a job before the ledger has it."""


def prune(ledger: Ledger, older_than: Any) -> list[str]:
    """Forget jobs that ended longer ago than this, with their spools; return their ids."""
    before = time.time() - parse_duration(older_than, what="older_than", allow_zero=True)
    if not ledger.exists:
        return []
    forgotten = ledger.ended_before(before)
    left = ledger.keys_left()  # those of what is forgotten now stay: it is told that this was done before
    forget(ledger, forgotten)  # first, since it makes room
    ledger.forget_keys(left)
    _sweep_environments(ledger)
    _sweep_directories(ledger)
    ContentStore(ledger.state).sweep()
    _purge(ledger)
    return forgotten


def _purge(ledger: Ledger) -> None:
    """Have what was forgotten in no file any more: commands, and values of variables, may be secret."""
    why = "another process reads it just now"
    try:
        if ledger.purge():
            return
    except StateError as error:
        why = str(error)
    report(
        "what was forgotten is still in the journal %s-wal, until that is written anew (%s): prune again",
        ledger.path,
        why,
    )


def forget(ledger: Ledger, job_ids: Sequence[str]) -> None:
    """Take jobs that have ended out of a ledger, and remove what they wrote.

    That goes first: on a disk that is full it makes the room that the ledger needs for what it is to forget.
    """
    roots = ledger.spools()
    for directory in (*job_ids, *ledger.attempts.attempt_ids(job_ids)):
        for root in roots:
            job_spool.remove(root, directory)
    for some in chunks(job_ids, AT_ONCE):
        try:
            environments = ledger.remove(some)
        except StateError:
            if not Reserve(ledger.state).give_up():
                raise
            environments = ledger.remove(some)
        for path in environments:
            with suppress(OSError):
                os.unlink(path)


def _sweep_environments(ledger: Ledger) -> None:
    """Remove the environment files that a crash left behind, which no open job needs."""
    directory = ledger.state / "env"
    if not directory.is_dir():
        return
    old = time.time() - OLD
    left = {entry.path for entry in os.scandir(directory) if entry.stat(follow_symlinks=False).st_mtime < old}
    for path in left - ledger.open_environments() if left else ():
        with suppress(OSError):
            os.unlink(path)


def _sweep_directories(ledger: Ledger) -> None:
    """Remove the directories of jobs that a crash has kept out of the ledger, and that so have never begun.

    Those below another spool may be of another ledger; and what has begun may be all that is left of one.
    """
    spool = job_spool.root(ledger.state, None)
    for some in chunks(list(job_spool.job_ids(spool)), AT_ONCE):
        for directory in ledger.attempts.strangers(some):
            path = job_spool.path_of(spool, directory)
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - OLD and SUBMITTED.issuperset(os.listdir(path)):
                    job_spool.remove(spool, directory)
