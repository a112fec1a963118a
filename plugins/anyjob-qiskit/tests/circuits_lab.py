"""Circuits for the tests, and a laboratory: a ``BackendV2`` that keeps its jobs in files, as services do."""

from __future__ import annotations

import contextlib
import pickle
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from anyjob_qiskit import Circuit, CircuitResult, Experiment
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.providers import BackendV2, JobStatus, JobV1, Options
from qiskit_aer import AerSimulator

from anyjob.testing import Samples

BELL_QASM = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""


def bell(name: str = "bell") -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2, name=name)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def flips(bits: str, name: str = "flips") -> QuantumCircuit:
    """A circuit that always gives these bits."""
    circuit = QuantumCircuit(len(bits), len(bits), name=name)
    for number, bit in enumerate(reversed(bits)):
        if bit == "1":
            circuit.x(number)
    circuit.measure(range(len(bits)), range(len(bits)))
    return circuit


def rotation(name: str = "rotation") -> QuantumCircuit:
    """A circuit with a parameter ``theta``: at 0 it gives 0, at pi it gives 1."""
    circuit = QuantumCircuit(1, 1, name=name)
    circuit.ry(Parameter("theta"), 0)
    circuit.measure(0, 0)
    return circuit


def waiting_circuit(seconds: float) -> QuantumCircuit:
    """A circuit that takes that long in the laboratory, which keeps to delays."""
    circuit = QuantumCircuit(1, 1, name="waiting")
    circuit.delay(seconds, 0, unit="s")
    circuit.measure(0, 0)
    return circuit


def seconds_of(circuits: Iterable[QuantumCircuit]) -> float:
    """How long the delays in circuits are."""
    return float(sum(each.operation.duration for one in circuits for each in one.get_instructions("delay")))


def waiting(seconds: float) -> Circuit:
    return Circuit(waiting_circuit(seconds), shots=10)


def echo_circuit(text: str) -> QuantumCircuit:
    """A circuit of one qubit whose counts are a text, bit by bit."""
    bits = encoded(text)
    circuit = QuantumCircuit(1, len(bits), name="echo")
    for number, bit in enumerate(reversed(bits)):
        circuit.reset(0)
        if bit == "1":
            circuit.x(0)
        circuit.measure(0, number)
    return circuit


def samples(slow: Any) -> list[Samples]:
    """Samples for the conformance kit."""
    value = CircuitResult([Experiment("flips", 10, {"101": 10}, [], [("c", 3)])])
    return [
        Samples(
            kind="circuit",
            succeeds=Circuit(flips("101"), shots=10),
            value=value,
            slow=slow,
            echo=lambda text: Circuit(echo_circuit(text), shots=1),
            echoed=lambda result: decoded(next(iter(result.counts))),
        )
    ]


def encoded(text: str) -> str:
    return "".join(f"{byte:08b}" for byte in b"!" + text.encode("utf-8", "surrogateescape"))


def decoded(bits: str) -> str:
    return int(bits, 2).to_bytes(len(bits) // 8, "big")[1:].decode("utf-8", "surrogateescape")


# --- a laboratory ---------------------------------------------------------------------------------


class LabError(Exception):
    """What the laboratory says when it will not do something."""


class JobNotFoundInLab(LabError):
    """It does not know of a job."""


class LabJob(JobV1):
    """A job of the laboratory, kept in a file."""

    def submit(self) -> None:
        pass

    def _read(self) -> dict[str, Any]:
        lab: Lab = self._backend
        lab.reach()
        try:
            found: dict[str, Any] = pickle.loads((lab.directory / self._job_id).read_bytes())
        except FileNotFoundError:
            raise JobNotFoundInLab(self._job_id) from None
        return found

    def status(self) -> JobStatus:
        kept = self._read()
        if kept["cancelled"]:
            return JobStatus.CANCELLED
        if time.time() < kept["due"]:
            return JobStatus.RUNNING
        return JobStatus.DONE

    def result(self) -> Any:
        return self._read()["result"]

    def cancel(self) -> bool:
        kept = self._read()
        if self.status() is not JobStatus.RUNNING:
            return False
        (self._backend.directory / self._job_id).write_bytes(pickle.dumps({**kept, "cancelled": True}))
        return True


class Lab(BackendV2):
    """A device of five qubits without noise, that takes as long as the delays in its circuits say."""

    def __init__(self, directory: str, name: str = "lab", key: str = "") -> None:
        super().__init__(name=name, backend_version="1.0")
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.key = key
        self._simulator = AerSimulator(n_qubits=5, max_parallel_threads=1)

    @property
    def target(self) -> Any:
        return self._simulator.target

    @property
    def max_circuits(self) -> int | None:
        return 10

    @classmethod
    def _default_options(cls) -> Options:
        options = Options(shots=1024, memory=False, seed_simulator=None)
        options.set_validator("shots", (1, 100_000))
        return options

    def reach(self) -> None:
        if (self.directory / "away").exists():
            raise ConnectionError("the laboratory is closed")

    def run(self, circuits: Any, **options: Any) -> LabJob:
        self.reach()
        if (self.directory / "full").exists():
            (self.directory / "full").unlink()
            raise LabError("there is no room left")
        circuits = circuits if isinstance(circuits, list) else [circuits]
        seconds = seconds_of(circuits)
        result = self._simulator.run(circuits, **options).result()
        job_id = uuid.uuid4().hex
        kept = {"result": result, "due": time.time() + seconds, "cancelled": False, "size": len(circuits)}
        (self.directory / job_id).write_bytes(pickle.dumps(kept))
        return LabJob(self, job_id)

    def retrieve_job(self, job_id: str) -> LabJob:
        job = LabJob(self, job_id)
        job.status()
        return job

    def sizes(self) -> list[int]:
        """How many circuits each of its jobs has."""
        return [pickle.loads(path.read_bytes())["size"] for path in self.directory.glob("?" * 32)]


class DeviceFaults:
    """Faults of the laboratory, for the conformance kit."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        (self.directory / "away").touch()
        try:
            yield
        finally:
            (self.directory / "away").unlink()

    def forget(self, native_id: str) -> None:
        (self.directory / native_id.partition("[")[0]).unlink()

    def reject_next(self) -> None:
        (self.directory / "full").touch()


class LabAccount:
    """A provider of Qiskit's with two devices of the laboratory."""

    def __init__(self, directory: str, token: str | None = None) -> None:
        if token == "expired":
            raise AccountNotFoundError("the token has expired")
        self.devices = [Lab(f"{directory}/{name}", name) for name in ("lab_one", "lab_two")]

    def backends(self) -> list[Lab]:
        return self.devices


class AccountNotFoundError(Exception):
    """What IBM's service calls this."""


class FakeAccount:
    """A provider of Qiskit's with two fake devices of qiskit-ibm-runtime."""

    def backends(self) -> list[Any]:
        # It takes twice as long to import as all else, and each process of a test would.
        from qiskit_ibm_runtime.fake_provider import FakeManilaV2, FakeQuitoV2

        return [FakeManilaV2(), FakeQuitoV2()]
