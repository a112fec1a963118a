"""An account at a service of several machines: what the promises of providers are tried on.

Wrong providers derive from it, and break one promise each.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from right_backend import RightBackend, RightEngine, RightOptions

from anyjob.backend import BackendConfiguration, BackendStatus
from anyjob.config.secrets import Secret
from anyjob.errors import BackendAuthError, BackendUnavailableError
from anyjob.orders import Observation, Options, Order, Ticket
from anyjob.outcome import Outcome
from anyjob.provider import BaseProvider, filter_backends
from anyjob.resources import Resources
from anyjob.specs import Command

QUBITS = {"machine-1": 5, "machine-2": 27}


class CloudOptions(Options, frozen=True):
    """Options of an account.

    Args:
        directory: where the service is.
        key: lets you in.
        slots: how many jobs run at a time on each machine that does not say.
    """

    directory: Annotated[Path, msgspec.Meta(description="where the service is")]
    key: Secret | None = None
    slots: int = 4


class Machine(RightBackend):
    """A machine of the service."""

    def status(self) -> BackendStatus:
        name = self.configuration().backend_name
        working = not (self.options.directory / f"{name}.off").exists()
        message = "" if working else "down for calibration"
        return BackendStatus(name, self.version(), working, len(self.open_ids()), message)

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        check_key(self.options.directory)
        return super().observe(tickets)

    def outcome(self, ticket: Ticket) -> Outcome | None:
        outcome = super().outcome(ticket)
        return None if outcome is None else msgspec.structs.replace(outcome, cost=1.5, currency="credits")


def check_key(directory: Path) -> None:
    """Whether the service takes the account's key."""
    if (directory / "refused").exists():
        raise BackendAuthError("the service refuses the key of this account: check the option `key`")


class CloudEngine(RightEngine):
    """The service, and its faults."""

    _ids = itertools.count(1)

    @contextmanager
    def _marked(self, name: str) -> Iterator[None]:
        (self.directory / name).touch()
        try:
            yield
        finally:
            (self.directory / name).unlink()

    def refused(self) -> Any:
        """Inside, the key of this account is not taken."""
        return self._marked("refused")

    def offline(self, machine: str) -> Any:
        """Inside, a machine does not work."""
        return self._marked(f"{machine}.off")

    def without(self, machine: str) -> Any:
        """Inside, there is no such machine."""
        return self._marked(f"{machine}.gone")

    def submit_elsewhere(self, machine: str) -> str:
        """Run a job of nobody we know; return its id."""
        found = RightBackend(BackendConfiguration(machine), options=RightOptions(self.directory))
        job_id = f"web-{os.getpid()}-{next(self._ids)}"
        order = Order(
            job_id=job_id,
            spec=Command(["true"]),
            resources=Resources(),
            environment={},
            spool=self.directory / "web" / job_id,
        )
        ((_, native_id),) = found.launch([order])
        assert isinstance(native_id, str)
        return native_id


class CloudProvider(BaseProvider):
    """An account at the service."""

    Options = CloudOptions
    BackendOptions = RightOptions
    machine: ClassVar[type[Machine]] = Machine

    def get_backend(self, name: str | None = None, **kwargs: Any) -> Any:
        return super().get_backend("machine-2" if name == "old-machine" else name, **kwargs)

    def backends(
        self, name: str | None = None, filters: Callable[[Any], bool] | None = None, **kwargs: Any
    ) -> list[Any]:
        asked = self.options.directory / "asked"
        with asked.open("a") as stream:
            stream.write("x")
        self.check()
        named = [each for each in self.machines() if name in (None, each.configuration().backend_name)]
        return filter_backends(named, filters, **kwargs)

    def check(self) -> None:
        """Whether the service answers this account."""
        if any((self.options.directory / mark).exists() for mark in ("away", "down")):
            raise BackendUnavailableError(f"the service of {self} does not answer")
        check_key(self.options.directory)

    def machines(self) -> list[Machine]:
        """Return the machines that there are."""
        return [
            self.machine(
                BackendConfiguration(each, "1.2", qubits=qubits),
                self,
                options=RightOptions(self.options.directory, self.options.slots),
            )
            for each, qubits in QUBITS.items()
            if not (self.options.directory / f"{each}.gone").exists()
        ]
