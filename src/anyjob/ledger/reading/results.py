"""Results of jobs, for the calls whose arguments they are: see `anyjob.standalone.runner.Results`."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyjob.ledger.encoding import decode_outcome
from anyjob.spool import job_spool
from anyjob.spool.private_files import make_private

if TYPE_CHECKING:
    from anyjob.ledger.reading.reader import LedgerReader

FILE = "results.pkl"
"""The file, in the directory of a call, that has what is too much for a message."""
MOST = 64 * 1024
"""Bytes of results that go in a message, at most."""
SMALL = 4096
"""Bytes up to which a result is given itself, though it is in a file, too."""


def given_results(ledger: LedgerReader, job_id: str, root: Path, directory: str) -> dict[str, Any] | str:
    """Return the results that are arguments of a call, as its runner takes them.

    Args:
        ledger: where they stand.
        job_id: the call.
        root: below what the directories of jobs are.
        directory: that of the call; much goes into a file there.

    Returns:
        by id, the pickled result or the path of the file that has it; or the path of the file with all that.

    Raises:
        OSError: it cannot be written.
    """
    given: dict[str, bytes | str] = {}
    size = 0
    found = _found(ledger, job_id, root)
    for one, kept in found:
        given[one] = kept
        size += len(one) + len(kept)
        if size > MOST:
            return write_results(Path(directory), given, found)
    return given


def _found(ledger: LedgerReader, job_id: str, root: Path) -> Iterator[tuple[str, bytes | str]]:
    for one, outcome in ledger.dependencies.results_for(job_id):
        value = None if outcome is None else decode_outcome(outcome).value
        if isinstance(value, bytes) and len(value) > SMALL:
            path = job_spool.path_of(root, one) / job_spool.OUTCOME
            value = str(path) if path.exists() else value
        if isinstance(value, (bytes, str)):  # else the runner says that it is not there
            yield one, str(value) if isinstance(value, str) else value


def write_results(
    directory: Path, given: Mapping[str, bytes | str], more: Iterable[tuple[str, bytes | str]] = ()
) -> str:
    """Write results into the directory of a call; return the path of the file.

    Raises:
        OSError: it cannot be written.
    """
    path = str(directory / FILE)
    make_private(directory)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as stream:
        for pair in given.items():
            pickle.dump(pair, stream, 5)
        for pair in more:
            pickle.dump(pair, stream, 5)
    return path
