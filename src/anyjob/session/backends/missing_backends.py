"""Stand for backends of the ledger that cannot be made: at all, or while their service is away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec.structs import replace

from anyjob.backend import BackendConfiguration, Capabilities
from anyjob.errors import (
    AnyjobError,
    BackendError,
    BackendNotFoundError,
    BackendUnavailableError,
    PluginError,
    in_words,
)
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.outcome import Outcome
from anyjob.taskbackend import TaskBackend

if TYPE_CHECKING:
    from anyjob.ledger.rows import BackendRow
    from anyjob.outputs.left_files import LeftFiles
    from anyjob.taskjob import TaskJob


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
        self.why = why
        self._account = row.account

    def launch(self, orders: Sequence[Order]) -> Iterable[tuple[Order, Answer]]:
        """Raise why not."""
        self._refuse("hand it work")

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Raise why not."""
        self._refuse("ask about its jobs")

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Raise why not."""
        self._refuse("cancel its jobs")

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Return what is in the job's directory here; raise why not, where it has none."""
        if ticket.spool is None or not ticket.spool.is_dir():
            self._refuse("read what its jobs wrote")
        return super().logs(ticket, stream, offset)

    def _refuse(self, what: str) -> NoReturn:
        again = ""
        if self._account and isinstance(self.why, BackendNotFoundError):
            again = f"; its service alone knows more until account {self._account!r} has it again"
        raise BackendError(
            f"backend {self.name()!r}, of type {self.type_name!r}, cannot be made, so nobody can {what}: "
            f"{self.why}{again}"
        ) from self.why


class DeferredBackend(MissingBackend):
    """Stands for a backend whose service cannot be reached now: made as soon as it can be, and asked then.

    Args:
        row: what the ledger knows of the backend.
        make: makes it; raises BackendUnavailableError while its service is away.
    """

    def __init__(self, row: BackendRow, make: Callable[[], Any]) -> None:
        super().__init__(row, BackendUnavailableError("its service cannot be reached"))
        self._make = make
        self._real: Any = None

    def real(self) -> Any:
        """Return the backend that this one stands for.

        Raises:
            BackendUnavailableError: its service cannot be reached now, either.
            BackendError: it turns out that it cannot be made.
        """
        if self._real is None:
            try:
                real = self._make()
            except BackendUnavailableError as error:
                raise BackendUnavailableError(
                    f"backend {self.name()!r}, of type {self.type_name!r}, cannot be reached now: {error}"
                ) from error
            except Exception as error:  # of a plugin: kept, and told to whoever asks for the backend
                self.why = error if isinstance(error, AnyjobError) else PluginError(in_words(error))
                self._refuse("ask about its jobs")
            own = ("options", "capabilities", "floor", "ceiling", "grace")
            vars(self).update({name: getattr(real, name) for name in own if hasattr(real, name)})
            self._real = real
        return self._real

    def launch(self, orders: Sequence[Order]) -> Iterable[tuple[Order, Answer]]:
        """Have the backend launch them."""
        answers: Iterable[tuple[Order, Answer]] = self.real().launch(orders)
        return answers

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Have the backend asked."""
        seen: Mapping[str, Observation] = self.real().observe(self._own(tickets))
        return seen

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Have the backend end them."""
        accepted: Mapping[str, bool] = self.real().terminate(self._own(tickets))
        return accepted

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Have the backend collect."""
        outcomes: Mapping[str, Outcome] = self.real().collect(self._own(tickets))
        return outcomes

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Have the backend look for them."""
        found: Mapping[str, str] = self.real().find(job_ids)
        return found

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Have the backend renounce them."""
        started: Mapping[str, str] = self.real().renounce(job_ids)
        return started

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Have the backend read; while it is away, return what is in the job's directory here."""
        try:
            real = self.real()
        except BackendUnavailableError:
            if ticket.spool is None or not ticket.spool.is_dir():
                raise
            return super().logs(ticket, stream, offset)
        content: bytes = real.logs(*self._own([ticket]), stream, offset)
        return content

    def _left(self, job: TaskJob) -> LeftFiles:
        """Have the backend look."""
        found: LeftFiles = self.real()._left(job)
        return found

    def _own(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """Return tickets with the directories that the backend, once it is made, has for jobs."""
        real = self.real()
        shared = real.capabilities.shared_files
        return [replace(each, spool=real.job_directory(each.job_id) if shared else None) for each in tickets]
