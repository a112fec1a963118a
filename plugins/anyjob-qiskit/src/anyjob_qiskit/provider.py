"""The provider type ``qiskit``: the backends of any Qiskit provider, IBM's service among them."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from inspect import signature
from typing import Any

from anyjob import (
    BackendConfiguration,
    BaseProvider,
    ProviderConfiguration,
    filter_backends,
)
from anyjob.sdk import in_each_process
from anyjob_qiskit.backend import QiskitBackend
from anyjob_qiskit.config import ProviderOptions, QiskitOptions, RunOptions, instantiate
from anyjob_qiskit.devices.provider_errors import translating_errors

LEAST_BUSY = "least_busy"
"""The name that stands for whichever backend has the fewest jobs waiting."""


class QiskitProvider(BaseProvider):
    """Type ``qiskit``: an account with IBM's service, or any other provider that has ``backends()``.

    ``ibm/least_busy`` is whichever of its backends has the fewest jobs waiting when it is asked for.
    """

    Options = ProviderOptions
    BackendOptions = RunOptions

    def __init__(self, configuration: Any = None, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(
            configuration or ProviderConfiguration("qiskit"), provider, options=options or ProviderOptions()
        )
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._service: Any = None
        self._lock = threading.Lock()

    @property
    def service(self) -> Any:
        """Qiskit's own provider, made when it is first used.

        Raises:
            ConfigError: it cannot be made as it is configured, or a secret is missing.
            BackendAuthError: it refuses our credentials, or there are none.
            BackendUnavailableError: it cannot be reached.
        """
        with self._lock:
            if self._service is None:
                with translating_errors(str(self)):
                    self._service = instantiate(self.options, f"provider {str(self)!r}")
            return self._service

    def backends(
        self, name: str | None = None, filters: Callable[[Any], bool] | None = None, **kwargs: Any
    ) -> list[Any]:
        """Return the backends that match.

        Args:
            name: only the one of this name.
            filters: only those for which this returns True.
            kwargs: only those with these attributes (``num_qubits``, ``simulator``, ``operational``, …), and
                ``min_num_qubits``.
        """
        least = kwargs.pop("min_num_qubits", 0)
        with translating_errors(str(self)):
            found = self._named(name) if name is not None else self._all(self.service.backends())
        found = [each for each in found if (each.configuration().num_qubits or 0) >= least]
        return filter_backends(found, filters, **kwargs)

    def get_backend(self, name: str | None = None, **kwargs: Any) -> Any:
        """Return the one backend that matches; ``least_busy`` is the name of the one with the shortest queue.

        Raises:
            BackendNotFoundError: none matches, or several do.
        """
        return self.least_busy(**kwargs) if name == LEAST_BUSY else super().get_backend(name, **kwargs)

    def _named(self, name: str) -> list[QiskitBackend]:
        """The backends of a name: IBM's service asks for the properties of each that it is to return."""
        from qiskit.providers import QiskitBackendNotFoundError

        ask = self.service.backends
        if _takes_name(ask):
            with suppress(QiskitBackendNotFoundError):
                found = [each for each in self._all(ask(name=name)) if each.name() == name]
                if found:
                    return found
        return [each for each in self._all(ask()) if each.name() == name]

    def _all(self, devices: Iterable[Any]) -> list[QiskitBackend]:
        return [offered for device in devices if (offered := self._offered(device))]

    def _offered(self, device: Any) -> QiskitBackend | None:
        """A backend of Qiskit's as one of anyjob's; None, with a warning, for what is none."""
        from qiskit.providers import BackendV2

        from anyjob_qiskit.circuits.transpiling import is_simulator

        if not isinstance(device, BackendV2):
            warnings.warn(
                f"provider {self} has {device!r:.80}, which is left out: it is no BackendV2 of Qiskit's",
                stacklevel=3,
            )
            return None
        name = str(device.name)
        configuration = BackendConfiguration(
            name,
            str(getattr(device, "backend_version", "") or ""),
            num_qubits=_qubits(device),
            simulator=is_simulator(device),
        )
        options = self._device_options(self.options)
        return QiskitBackend(configuration, self, options=options, device=device)

    def configure_backend(self, backend: Any, options: Any) -> Any:
        """Return the backend with options of its own: how circuits are run on it."""
        own = self._device_options(options)
        return QiskitBackend(backend.configuration(), self, options=own, device=backend.device)

    def _device_options(self, options: RunOptions) -> QiskitOptions:
        given = {name: getattr(options, name) for name in RunOptions.__struct_fields__}
        durable = self.options.is_service if self.options.durable is None else self.options.durable
        return QiskitOptions(**given, backend=self.options.provider, durable=durable)

    def close(self) -> None:
        """Let go of the account."""
        with self._lock:
            self._service = None


def _takes_name(ask: Callable[..., Any]) -> bool:
    try:
        return "name" in signature(ask).parameters
    except (TypeError, ValueError):  # of one that is not written in Python
        return False


def _qubits(device: Any) -> int | None:
    """How many qubits a device has; some raise where they are asked."""
    try:
        found = device.num_qubits
    except Exception:  # of a device, and each its own: it is listed without them
        return None
    return found if isinstance(found, int) else None
