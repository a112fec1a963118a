"""The other way round: an anyjob backend as Qiskit's ``BackendV2``, for Qiskit's own primitives to run on."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.providers import BackendV2, JobV1, Options
from qiskit.providers import JobStatus as QiskitStatus
from qiskit.result import Result
from qiskit_aer import AerSimulator

import anyjob
from anyjob import JobStatus, TaskJob
from anyjob_qiskit.circuits.spec import Circuit
from anyjob_qiskit.results.circuit_result import CircuitResult


def as_backend_v2(
    backend: Any = None, *, target: Any = None, jobs: int = 1, **resources: Any
) -> AnyjobBackendV2:
    """Return an anyjob backend as a backend of Qiskit's.

    ::

        sampler = BackendSamplerV2(backend=as_backend_v2("hpc", jobs=8, cpus=2))

    Args:
        backend: the backend, or its name; None: the default.
        target: that of Qiskit's transpiler; by default what Aer simulates.
        jobs: over how many jobs to spread the circuits that are run together.
        resources: what each job needs and what it is called: see `anyjob.Resources`.

    Raises:
        AnyjobError: there is no such backend.
    """
    found = anyjob.get_backend(backend) if backend is None or isinstance(backend, str) else backend
    return AnyjobBackendV2(found, AerSimulator().target if target is None else target, jobs, resources)


class AnyjobBackendV2(BackendV2):  # type: ignore[misc]
    """A backend of Qiskit's that hands its circuits to one of anyjob's. See `as_backend_v2`."""

    def __init__(self, backend: Any, target: Any, jobs: int, resources: dict[str, Any]) -> None:
        # qiskit-experiments looks into names for what has gates without places.
        simulates = "_simulator" if target.build_coupling_map() is None else ""
        super().__init__(name=f"anyjob_{backend.name()}{simulates}", backend_version=anyjob.__version__)
        self.anyjob_backend = backend
        self._target = target
        self._max_jobs = max(1, jobs)
        self._resources = resources

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.name!r})>"

    @property
    def target(self) -> Any:
        """The target of Qiskit's transpiler."""
        return self._target

    @property
    def max_circuits(self) -> int | None:
        """None: any number of circuits may be run together."""
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=1024, memory=False, seed_simulator=None, meas_level=2, meas_return="single")

    def __deepcopy__(self, memo: dict[int, Any]) -> AnyjobBackendV2:
        """Return another one, with options of its own, on the same backend of anyjob's."""
        found = AnyjobBackendV2(self.anyjob_backend, self._target, self._max_jobs, self._resources)
        found._options = copy.deepcopy(self._options, memo)
        return found

    def run(self, run_input: QuantumCircuit | Sequence[QuantumCircuit], **options: Any) -> AnyjobJobV1:
        """Hand circuits to the backend of anyjob's.

        Args:
            run_input: circuits without free parameters.
            options: ``shots``, ``memory`` and ``seed_simulator``; ``meas_level`` is 2. Others are refused.

        Raises:
            SpecError: the circuits are not fit to be run, or there is no such option.
        """
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else list(run_input)
        run_options = self._run_options(options)
        plain = [_without_metadata(circuit) for circuit in circuits]
        specs = [Circuit(part, **run_options) for part in _split(plain, self._max_jobs)]
        jobs = self.anyjob_backend.run_many(specs, **self._resources)
        return AnyjobJobV1(self, jobs, [(each.name, each.metadata or {}) for each in circuits])

    def _run_options(self, options: dict[str, Any]) -> dict[str, Any]:
        given = {**self.options.__dict__, **options}
        unknown = {key for key, value in given.items() if value is not None} - _TAKEN
        if unknown:
            raise anyjob.SpecError(
                f"{self.name} takes shots, memory and seed_simulator; not {', '.join(sorted(unknown))}"
            )
        if given["meas_level"] not in (None, 2):
            raise anyjob.SpecError(
                f"{self.name} gives bits, which is meas_level=2; not meas_level={given['meas_level']!r}"
            )
        return {"shots": given["shots"], "per_shot": bool(given["memory"]), "seed": given["seed_simulator"]}


_TAKEN = frozenset({"shots", "memory", "seed_simulator", "meas_level", "meas_return"})


def _without_metadata(circuit: QuantumCircuit) -> QuantumCircuit:
    """A circuit without what only its result is to carry again, and what might not be fit to be written."""
    if circuit.metadata:
        circuit = circuit.copy(circuit.name)
        circuit.metadata = {}
    return circuit


def _split(circuits: list[QuantumCircuit], number: int) -> Iterable[tuple[QuantumCircuit, ...]]:
    """Split into so many parts of about the same size, in order."""
    number = min(number, len(circuits)) or 1
    bounds = [len(circuits) * part // number for part in range(number + 1)]
    for start, stop in itertools.pairwise(bounds):
        yield tuple(circuits[start:stop])


class AnyjobJobV1(JobV1):  # type: ignore[misc]
    """A job of Qiskit's that is one or several of anyjob's.

    Attributes:
        jobs: those of anyjob's.
    """

    def __init__(
        self, backend: AnyjobBackendV2, jobs: Sequence[TaskJob], headers: list[tuple[str, dict[str, Any]]]
    ) -> None:
        super().__init__(backend, "+".join(job.job_id() for job in jobs))
        self.jobs = list(jobs)
        self._headers = headers

    def submit(self) -> None:
        """Nothing: its circuits were handed over when it was made."""

    def result(self, timeout: float | None = None) -> Result:
        """Wait for all of its circuits, and return what came of them as one.

        Raises:
            JobTimeoutError: they have not ended within ``timeout`` seconds.
            JobError: some have failed, or were cancelled.
        """
        anyjob.wait(self.jobs, timeout)
        found = [job.result(timeout=0) for job in self.jobs]
        result = CircuitResult([one for each in found for one in each]).to_qiskit()
        for one, (name, metadata) in zip(result.results, self._headers, strict=True):
            values = {"name": name, "metadata": metadata}
            if isinstance(one.header, dict):
                one.header.update(values)
            else:  # before Qiskit 2.0
                vars(one.header).update(values)
        return result

    def cancel(self) -> bool:
        """Try to cancel all of it; return whether that was accepted."""
        return any(self._backend.anyjob_backend.cancel_many(self.jobs))

    def status(self) -> QiskitStatus:
        """Return where it is, as Qiskit says it: as far as the one that is furthest behind."""
        seen = [job.status() for job in self.jobs]
        for status in (JobStatus.ERROR, JobStatus.CANCELLED):
            if status in seen and all(each in anyjob.JOB_FINAL_STATES for each in seen):
                return QiskitStatus[status.name]
        if all(each is JobStatus.DONE for each in seen):
            return QiskitStatus.DONE
        if any(each in (JobStatus.RUNNING, *anyjob.JOB_FINAL_STATES) for each in seen):
            return QiskitStatus.RUNNING
        return QiskitStatus[seen[0].name]
