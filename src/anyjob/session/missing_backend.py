"""Stands for a backend that a job was given to and that cannot be made any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from anyjob.backend import BackendConfiguration, Capabilities
from anyjob.errors import AnyjobError, BackendError
from anyjob.ledger.rows import BackendRow
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.taskbackend import TaskBackend


class MissingBackend(TaskBackend):
    """Shows what the ledger and the spool know of its jobs; whatever else is asked of it raises.

    Args:
        row: what the ledger knows of the backend.
        why: what kept it from being made: its plugin is not installed, for one.
    """

    capabilities = Capabilities(durable=True, shared_files=True, logs=True)
    floor = 0.05
    grace = float("inf")

    def __init__(self, row: BackendRow, why: AnyjobError) -> None:
        super().__init__(BackendConfiguration(row.label))
        self.ledger_row = row
        self.type_name = row.type
        self.why = why

    def launch(self, orders: Sequence[Order]) -> Iterable[tuple[Order, Answer]]:
        """Raise why not."""
        self._refuse("hand it work")

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Raise why not."""
        self._refuse("ask about its jobs")

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Raise why not."""
        self._refuse("cancel its jobs")

    def _refuse(self, what: str) -> NoReturn:
        raise BackendError(
            f"backend {self.name()!r}, of type {self.type_name!r}, cannot be made, so nobody can {what}: "
            f"{self.why}"
        ) from self.why
