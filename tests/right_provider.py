"""An account at a service of several machines: what the promises to backends of providers are tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from right_backend import RightBackend, RightOptions

from anyjob.backend import BackendConfiguration, BackendStatus
from anyjob.config.secrets import Secret
from anyjob.errors import BackendUnavailableError
from anyjob.orders import Options
from anyjob.provider import BaseProvider, filter_backends

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
        return BackendStatus(name, self.version(), working, len(self.open_ids()))


class CloudProvider(BaseProvider):
    """An account at the service."""

    Options = CloudOptions
    BackendOptions = RightOptions

    def get_backend(self, name: str | None = None, **kwargs: Any) -> Any:
        return super().get_backend("machine-2" if name == "old-machine" else name, **kwargs)

    def backends(
        self, name: str | None = None, filters: Callable[[Any], bool] | None = None, **kwargs: Any
    ) -> list[Any]:
        asked = self.options.directory / "asked"
        with asked.open("a") as stream:
            stream.write("x")
        if (self.options.directory / "away").exists():
            raise BackendUnavailableError(f"the service of {self} does not answer")
        machines = [
            Machine(
                BackendConfiguration(each, "1.2", qubits=qubits),
                self,
                options=RightOptions(self.options.directory, self.options.slots),
            )
            for each, qubits in QUBITS.items()
            if name in (None, each)
        ]
        return filter_backends(machines, filters, **kwargs)
