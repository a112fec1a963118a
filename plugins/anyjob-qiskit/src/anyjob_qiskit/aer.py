"""The type ``aer``: Aer's simulators, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from anyjob import BackendError, Call, Capabilities, ConfigError, Order
from anyjob.builtin.pools import ThreadsBackend
from anyjob.orders import Answer, Options
from anyjob_qiskit.config import AtLeastOne, AtLeastZero, Level, about
from anyjob_qiskit.spec import Circuit

if TYPE_CHECKING:
    from anyjob_qiskit.simulation import Simulator


class AerOptions(Options, frozen=True):
    """Options of the type ``aer``."""

    method: Annotated[
        Literal[
            "automatic",
            "statevector",
            "density_matrix",
            "stabilizer",
            "matrix_product_state",
            "extended_stabilizer",
        ],
        about("how circuits are simulated that do not say"),
    ] = "automatic"
    precision: Annotated[Literal["double", "single"], about("of the numbers that it computes with")] = (
        "double"
    )
    device: Annotated[
        str | None,
        about("a fake device of qiskit-ibm-runtime, such as fake_manila: its qubits, gates and noise hold"),
    ] = None
    noise: Annotated[
        Path | None, about("a file with a noise model: NoiseModel.to_dict(serializable=True), as JSON")
    ] = None
    seed: Annotated[AtLeastZero | None, about("the seed of circuits that have none")] = None
    level: Annotated[
        Level | None, about("how hard the transpiler tries, 0 to 3, for circuits that do not say")
    ] = None
    threads: Annotated[AtLeastZero, about("how many cores a simulation may use; 0: all of them")] = 0
    max_shots: Annotated[AtLeastOne, about("the most shots that a circuit may ask for")] = 1_000_000


class AerBackend(ThreadsBackend):
    """Type ``aer``: circuits, simulated by Aer in a thread of this process, one job after the other.

    A simulation uses as many cores as the option ``threads`` says, and cannot be ended once it runs.
    """

    Options: ClassVar[type[Any]] = AerOptions
    accepts = frozenset({"circuit"})
    capabilities = Capabilities(notifies=True, cancel_running=False, walltime=False)

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options or AerOptions())
        self._simulators: dict[str, Simulator] = {}

    @property
    def slots(self) -> int:
        """One: Aer itself runs one job at a time in a process."""
        return 1

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Check the circuits, and queue calls that simulate them.

        Raises:
            SpecError: a circuit is not fit to be run; then none of the orders is taken.
            ConfigError: the device or the noise model cannot be had.
        """
        from anyjob_qiskit.checking import checked

        ready = []
        for order in orders:
            spec = order.spec
            assert isinstance(spec, Circuit)
            simulator = self._simulator(spec.method)
            circuits = checked(
                spec, qubits=simulator.num_qubits, shots=self.options.max_shots, where=self.name()
            )
            how = {
                "shots": spec.shots,
                "seed": self.options.seed if spec.seed is None else spec.seed,
                "per_shot": spec.per_shot,
                "level": self.options.level if spec.level is None else spec.level,
            }
            call = Call(simulator.run, (circuits, spec.parameters), how)
            ready.append(msgspec.structs.replace(order, spec=call))
        return super().launch(ready)

    def _simulator(self, method: str | None) -> Simulator:
        from anyjob_qiskit.simulation import CircuitError, Simulator

        method = method or self.options.method
        found = self._simulators.get(method)
        if found is None:
            settings = msgspec.structs.asdict(self.options)
            settings |= {"method": method, "noise": _noise(self.options.noise)}
            try:
                found = self._simulators[method] = Simulator(settings)
            except CircuitError as error:
                raise ConfigError(f"backend {self.name()!r}: {error}") from error
        return found


def _noise(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BackendError(
            f"the noise model {str(path)!r} cannot be read: {error.strerror or error}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"the noise model {str(path)!r} is no JSON: {error}") from error
    return found
