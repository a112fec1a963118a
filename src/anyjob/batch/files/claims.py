"""Who has claimed a job: the one that may run it makes a file that nobody else can make then, and signs it.

It lies with the submission, not with the job: what was forgotten while it waited does not run either.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from anyjob.batch.compute_node import launcher
from anyjob.batch.dialect import Dialect
from anyjob.batch.files.journal import Journal
from anyjob.batch.files.membership import Membership
from anyjob.batch.files.node_reports import refresh_directory
from anyjob.errors import BackendUnavailableError, StateError
from anyjob.spool.private_files import make_private, open_private, write_new

NOBODY = "nobody"
"""Who has claimed a job that is not to run any more."""
CLAIM_TIMEOUT = 1.0
"""Seconds that who has claimed a job may take to say who that is."""


def claimed_by(member: Membership, dialect: Dialect) -> str | None:
    """Return the native id that has claimed a job, or `NOBODY`; None as long as none has."""
    try:
        with open_private(member.claim) as stream:
            claims = stream.read().decode("utf-8", "replace").splitlines()
    except (OSError, StateError):
        return None
    claim = claims[-1].split() if claims else []
    if len(claim) < 2:
        return None
    return (
        NOBODY
        if claim[0] == NOBODY
        else dialect.id_of(claim[0], int(claim[1]) if claim[1].isdecimal() else None)
    )


def claim_for_nobody(member: Membership, dialect: Dialect) -> str | None:
    """Claim a job for `NOBODY`, so that it does not start; return the native id of one that has started.

    Raises:
        BackendUnavailableError: that cannot be written: it may start.
    """
    try:
        write_new(member.claim, f"{NOBODY} - 0\n".encode())
    except FileExistsError:
        return _claimed_by_another(member, dialect)
    except (FileNotFoundError, NotADirectoryError):  # its submission is gone, without which it does not run
        return None
    except OSError as error:
        raise BackendUnavailableError(
            f"cannot write {member.claim}, by which a job does not start any more: {error.strerror or error}"
        ) from error
    return None


def _claimed_by_another(member: Membership, dialect: Dialect) -> str | None:
    deadline = time.monotonic() + CLAIM_TIMEOUT
    while (found := claimed_by(member, dialect)) is None and time.monotonic() < deadline:
        refresh_directory(member.claim.parent)
        if not member.claim.exists():
            break
        time.sleep(0.02)
    return None if found == NOBODY else found


def cancel_packed(directory: Path, member: Membership, dialect: Dialect) -> None:
    """Cancel one of several jobs of a task: it does not start, or is ended by what runs it."""
    if (directory / "outcome.pkl").exists():
        return
    with suppress(FileExistsError, OSError):
        make_private(directory)
        write_new(directory / "cancel", b"")
    if claim_for_nobody(member, dialect) is None and claimed_by(member, dialect) == NOBODY:
        with suppress(FileExistsError):
            write_new(directory / "outcome.part", launcher.pickled({"status": "CANCELLED", "attempt": 1}))
            os.rename(directory / "outcome.part", directory / "outcome.pkl")
        Journal(member.submission).append("E", [member.position], attempt=1)
