"""Who has claimed a job: its ``work`` is renamed to ``claim`` by the one that may run it, which signs it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from anyjob.batch.compute_node import launcher
from anyjob.batch.dialect import Dialect
from anyjob.batch.files.journal import Journal
from anyjob.batch.files.node_reports import refresh_directory
from anyjob.batch.files.work import Membership
from anyjob.spool.private_files import open_private, write_new

NOBODY = "nobody"
"""Who has claimed a job that is not to run any more."""
CLAIM_TIMEOUT = 1.0
"""Seconds that who has claimed a job may take to say who that is."""


def claimed_by(directory: Path, dialect: Dialect) -> str | None:
    """Return the native id that has claimed a job, or `NOBODY`; None as long as none has."""
    try:
        with open_private(directory / "claim") as stream:
            head = stream.readline(100)
            stream.seek(len(head) + sum(map(int, head.split()[-2:])))
            claims = stream.read().decode("utf-8", "replace").splitlines()
    except (OSError, ValueError):
        return None
    claim = claims[-1].split() if claims else []
    if len(claim) < 2:
        return None
    return (
        NOBODY
        if claim[0] == NOBODY
        else dialect.id_of(claim[0], int(claim[1]) if claim[1].isdecimal() else None)
    )


def claim_for_nobody(directory: Path, dialect: Dialect) -> str | None:
    """Claim a job for `NOBODY`, so that it does not start; return the native id of one that has started."""
    try:
        os.rename(directory / "work", directory / "claim")
    except OSError:  # it has been claimed; or it has no directory, without which it does not run
        return _claimed_by_another(directory, dialect)
    claim = os.open(directory / "claim", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(claim, f"{NOBODY} - 0\n".encode())
    finally:
        os.close(claim)
    return None


def _claimed_by_another(directory: Path, dialect: Dialect) -> str | None:
    deadline = time.monotonic() + CLAIM_TIMEOUT
    while (found := claimed_by(directory, dialect)) is None and time.monotonic() < deadline:
        refresh_directory(directory)
        if not (directory / "claim").exists():
            break
        time.sleep(0.02)
    return None if found == NOBODY else found


def cancel_packed(directory: Path, member: Membership, dialect: Dialect) -> None:
    """Cancel one of several jobs of a task: it does not start, or is ended by what runs it."""
    if (directory / "outcome.pkl").exists():
        return
    with suppress(FileExistsError, OSError):
        write_new(directory / "cancel", b"")
    if claim_for_nobody(directory, dialect) is None and claimed_by(directory, dialect) == NOBODY:
        with suppress(FileExistsError):
            write_new(directory / "outcome.part", launcher.pickled({"status": "CANCELLED", "attempt": 1}))
            os.rename(directory / "outcome.part", directory / "outcome.pkl")
        Journal(member.submission).append("E", [member.position], attempt=1)
