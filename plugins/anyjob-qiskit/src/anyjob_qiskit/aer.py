"""The type ``aer``: Aer's simulators, in this process."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from anyjob import (
    BackendError,
    Capabilities,
    ConfigError,
    JobStatus,
    Observation,
    Order,
    Outcome,
    SpecError,
    TaskBackend,
    Ticket,
)
from anyjob.sdk import Answer, in_each_process
from anyjob_qiskit.circuits.spec import Circuit, Method
from anyjob_qiskit.config import AtLeastOne, AtLeastZero, HasRun, Level, about
from anyjob_qiskit.simulation_queue import QueuedSimulation, SimulationQueue

if TYPE_CHECKING:
    from anyjob_qiskit.simulation import Simulator


class AerOptions(HasRun, frozen=True, kw_only=True):
    """Options of the type ``aer``."""

    method: Annotated[Method, about("how circuits are simulated that do not say")] = "automatic"
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


class AerBackend(TaskBackend):
    """Type ``aer``: circuits, simulated by Aer in a thread of this process, one job after the other.

    A simulation uses as many cores as the option ``threads`` says, and cannot be ended once it runs.
    """

    Options: ClassVar[type[Any]] = AerOptions
    JobOptions: ClassVar[type[Any]] = HasRun
    accepts = frozenset({"circuit"})
    capabilities = Capabilities(notifies=True, cancel_running=False, walltime=False)
    floor = 0

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options or AerOptions())
        self._closed = False
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._simulators: dict[str, Simulator] = {}
        self._simulations: dict[str, QueuedSimulation] = {}
        self._queue: SimulationQueue | None = None
        self._lock = threading.Lock()

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Check the circuits, and queue them.

        Raises:
            SpecError: a circuit is not fit to be run; then none of the orders is taken.
            ConfigError: the device or the noise model cannot be had.
        """
        if any(order.resources.walltime is not None for order in orders):
            raise SpecError(
                f"{self.name()} cannot end a simulation, and so has no walltime: leave it out, or simulate "
                "on local, processes or a cluster"
            )
        queued = [(order, QueuedSimulation(order.job_id, self._prepare(order))) for order in orders]
        queue = self._open_queue()
        for order, simulation in queued:
            self._simulations[simulation.job_id] = simulation
            yield order, simulation.job_id
            queue.put(simulation)

    def _prepare(self, order: Order) -> Callable[[], Any]:
        """Return the function that simulates the circuits, once these are validated."""
        from anyjob_qiskit.circuits.validation import validated_circuits

        spec = order.spec
        assert isinstance(spec, Circuit)
        simulator = self._simulator(spec.method)
        unknown = [name for name in order.options.run if not hasattr(simulator.backend.options, name)]
        if unknown:  # Aer would drop it silently
            raise SpecError(f"Aer's run has no option {unknown[0]!r}")
        circuits = validated_circuits(
            spec, qubits=simulator.num_qubits, shots=self.options.max_shots, where=self.name()
        )
        return functools.partial(
            simulator.run,
            circuits,
            spec.parameters,
            shots=spec.shots,
            seed=self.options.seed if spec.seed is None else spec.seed,
            per_shot=spec.per_shot,
            level=self.options.level if spec.level is None else spec.level,
            more=order.options.run,
        )

    def _open_queue(self) -> SimulationQueue:
        with self._lock:
            if self._closed:
                raise BackendError(f"backend {self.name()!r} was closed")
            if self._queue is None:
                self._queue = SimulationQueue(f"anyjob-{self.name()}", self._on_change)
            return self._queue

    def _on_change(self, simulation: QueuedSimulation) -> None:
        self.notify([simulation.job_id])

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Look into memory."""
        seen = {}
        for simulation in self._simulations_of(tickets):
            outcome = simulation.outcome
            seen[simulation.job_id] = Observation(simulation.status if outcome is None else outcome.status)
        return seen

    def collect(self, tickets: Sequence[Ticket]) -> dict[str, Outcome]:
        """Hand over what came of the circuits, and keep nothing of it."""
        simulations = self._simulations_of(tickets)
        found = {each.job_id: each.outcome for each in simulations if each.outcome is not None}
        for job_id in found:
            self._simulations.pop(job_id, None)
        return found

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        """Take circuits out of the queue."""
        return {each.job_id: each.cancel() for each in self._simulations_of(tickets)}

    def _simulations_of(self, tickets: Sequence[Ticket]) -> list[QueuedSimulation]:
        return [each for ticket in tickets if (each := self._simulations.get(ticket.job_id)) is not None]

    def close(self) -> None:
        """Cancel what has not begun; what is simulated now ends by itself."""
        with self._lock:
            self._closed = True
            queue, self._queue = self._queue, None
        cancelled = [each.job_id for each in list(self._simulations.values()) if each.cancel()]
        if cancelled:
            self.notify(cancelled)
        if queue is not None:
            runs = any(each.status is JobStatus.RUNNING for each in self._simulations.values())
            queue.close(0.1 if runs else None)
        super().close()

    def _simulator(self, method: str | None) -> Simulator:
        from anyjob_qiskit.results.reading import CircuitError
        from anyjob_qiskit.simulation import Simulator

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
