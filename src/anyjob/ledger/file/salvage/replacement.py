"""Puts a damaged ledger aside, and a new one with what could be saved in its place.

This goes on from where it was, should the process be killed in the middle. Whoever calls holds the ledger's
lock.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from anyjob.errors import StateError
from anyjob.ledger.file.salvage.readable_rows import COMPANIONS, carry_over
from anyjob.ledger.file.salvage.repair import repair
from anyjob.ledger.file.salvage.spool_outcomes import take_spools
from anyjob.ledger.file.schema import migrate
from anyjob.ledger.file.statedir import is_network
from anyjob.process.reporting import report


def replace(path: Path, why: str) -> None:
    """Put a damaged ledger aside, and a new one with what is sound of it in its place; say so."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{number}")
    marker = _marker(path)
    part = marker.with_suffix(".part")
    part.write_text(f"{aside.name}\n{why}")
    part.rename(marker)
    resume(path)


def resume(path: Path) -> None:
    """Go on with what `replace` has begun, if that was cut short."""
    marker = _marker(path)
    try:
        name, _, why = marker.read_text().partition("\n")
    except FileNotFoundError:
        return
    aside = path.with_name(name)
    if not name.startswith(f"{path.name}.damaged-") or aside.parent != path.parent:
        raise StateError(f"{marker} names {name!r}, which is none of ours: look at it, and remove it")
    if path.exists() and not aside.exists():
        path.rename(aside)
    if not path.exists():
        for companion in COMPANIONS:
            with suppress(FileNotFoundError):
                Path(f"{path}{companion}").rename(f"{aside}{companion}")
        _rebuild(path, aside, why)
    marker.unlink()


def _marker(path: Path) -> Path:
    return path.with_name(f"{path.name}.replacing")


def _rebuild(path: Path, aside: Path, why: str) -> None:
    new = path.with_name(f"{path.name}.new")
    for leftover in (new, *(Path(f"{new}{companion}") for companion in COMPANIONS)):
        leftover.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute(f"PRAGMA journal_mode = {'DELETE' if is_network(path.parent) else 'WAL'}")
        migrate(db, path)
        db.execute("BEGIN IMMEDIATE")
        carry_over(aside, db)
        repair(db)
        jobs, work = db.execute("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM work)").fetchone()
        found = take_spools(path.parent / "spool", db)
        db.execute("COMMIT")
    new.rename(path)
    report(
        "the ledger %s is damaged (%s): it is kept as %s; a new one has the %d jobs that could be read "
        "(%d of them without the work that they were handed), and %d outcomes that lay in the spool; jobs "
        "that are in neither are not known any more",
        path, why, aside, jobs, jobs - work, found,
    )  # fmt: skip
