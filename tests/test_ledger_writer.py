"""What the supervisor of the `local` backend has written, it tells, whatever comes of its cleaning up."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import ledgers

from anyjob import JobStatus
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs.bulks import Bulks
from anyjob.builtin.local.supervisor.ledger_writer import LedgerWriter
from anyjob.errors import StateError
from anyjob.ledger.encoding import Context
from anyjob.ledger.store import Ledger
from anyjob.spool.environment_file import OWN_SUFFIX


class FailingBulks(Bulks):
    """Cannot be read once."""

    faults = 1

    def jobs_ended(self, number: int, count: int) -> None:
        if self.faults:
            self.faults -= 1
            raise StateError("the ledger is locked")
        super().jobs_ended(number, count)


def test_the_supervisor_tells_of_an_end_before_it_cleans_up(tmp_path: Path) -> None:
    """What could not be cleaned up is, later; and what cannot be, keeps nothing from going on."""
    ledger = Ledger(tmp_path / "state")
    paths = RuntimePaths(ledger.state)
    number = ledgers.backend(ledger, host=paths.host)
    removable, stuck = paths.environments / f"a{OWN_SUFFIX}", paths.environments / "b"
    removable.touch()
    stuck.mkdir()  # no file: it cannot be removed as one
    first, second = (
        ledgers.add(ledger, number=number, context=Context(("command",), b"{}", environment=str(path)))[0]
        for path in (removable, stuck)
    )
    bulks = {row.job_id: row.bulk for row in ledger.rows([first, second]).values()}
    told: list[list[str]] = []
    released: list[int] = []
    again: list[object] = []
    writer = LedgerWriter(
        ledger,
        paths,
        FailingBulks(ledger),
        lambda ended, moved: told.append([*ended]),
        released.append,
        again.append,
    )
    writer.end(first, ledgers.DONE, bulks[first])
    with pytest.raises(StateError):
        writer.write()
    assert told == [[first]]
    assert ledger.rows([first])[first].status is JobStatus.DONE
    assert writer.is_pending
    writer.write()
    assert not removable.exists()
    assert told == [[first]]
    writer.end(second, ledgers.DONE, bulks[second])
    writer.write()
    assert told == [[first], [second]]
    assert not writer.is_pending
    ledger.close()
