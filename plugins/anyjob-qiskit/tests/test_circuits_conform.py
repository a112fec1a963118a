"""The conformance kit: the kind, both backends, the provider, the distribution."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import circuits_lab as lab
import msgspec
import pytest
from anyjob_qiskit import Circuit, CircuitResult, Estimate, EstimateResult, Experiment
from anyjob_qiskit.simulation import Simulator
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

from anyjob.testing import (
    JobTypeConformance,
    PluginConformance,
    ProviderConformance,
    Samples,
    TaskBackendConformance,
)


def as_files(spec: Circuit) -> Circuit:
    """A spec as it is read back from plain data."""
    return msgspec.json.decode(msgspec.json.encode(spec), type=Circuit)


BULK = "each job is another circuit, which is simulated; benchmarks/qiskit_backend.py tries 1,000"


class TestCircuitConforms(JobTypeConformance):
    job_type = "circuit"
    sdk = ("qiskit", "qiskit_aer")

    @pytest.fixture
    def samples(self, tmp_path: Path) -> list[Samples]:
        program = tmp_path / "bell.qasm"
        program.write_text(lab.BELL_QASM)
        bare = AerSimulator().run(lab.bell(), shots=100, seed_simulator=5).result()
        counts = {str(bits): int(count) for bits, count in bare.get_counts().items()}
        given = [
            *lab.samples(None),
            Samples(
                kind="circuit",
                succeeds=Circuit(program, shots=100, seed=5),
                value=CircuitResult([Experiment("bell", 100, counts, [], [("c", 2)])]),
            ),
            Samples(
                kind="circuit",
                succeeds=Circuit(lab.rotation(), shots=3, parameters={"theta": 0.0}, per_shot=True),
                value=CircuitResult([Experiment("rotation", 3, {"0": 3}, ["0", "0", "0"], [("c", 1)])]),
            ),
        ]
        # As files, since some checks lay them on disk and name them on a command line.
        return [dataclasses.replace(each, succeeds=as_files(each.succeeds)) for each in given]

    @pytest.fixture
    def invalid(self) -> list[Mapping[str, Any]]:
        good = {"circuits": ["bell.qasm"]}
        return [
            {"circuits": []},
            {"circuits": [3]},
            {**good, "shots": 0},
            {**good, "shots": -1},
            {**good, "seed": -1},
            {**good, "level": 4},
            {**good, "method": "guess"},
            {**good, "parameters": {"theta": "much"}},
        ]


class TestEstimateConforms(JobTypeConformance):
    job_type = "estimate"
    sdk = ("qiskit", "qiskit_aer")

    @pytest.fixture
    def samples(self, tmp_path: Path) -> list[Samples]:
        program = tmp_path / "flip.qasm"
        program.write_text('OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; x q[1];')
        turned = tmp_path / "turned.qasm"
        turned.write_text(
            'OPENQASM 3.0; include "stdgates.inc"; input float[64] theta; qubit q; rx(theta) q;'
        )
        asked = Estimate(program, ["ZI", "0.5*IZ - 2*ZZ"], precision=0.1)
        return [
            Samples(
                kind="estimate",
                succeeds=asked,
                value=EstimateResult("flip", list(asked.observables), [-1.0, 2.5], [0.0, 0.0], 100),
            ),
            Samples(
                kind="estimate",
                succeeds=Estimate(turned, "Z", precision=0.5, parameters={"theta": 0.0}, seed=3),
                value=EstimateResult("turned", ["Z"], [1.0], [0.0], 4),
            ),
        ]

    @pytest.fixture
    def invalid(self) -> list[Mapping[str, Any]]:
        good = {"circuit": "flip.qasm", "observables": ["Z"]}
        return [
            {**good, "observables": []},
            {**good, "observables": ["Q"]},
            {**good, "observables": ["Z", 3]},
            {**good, "precision": 0},
            {**good, "precision": "much"},
            {**good, "seed": -1},
            {**good, "method": "guess"},
        ]


class TestAerConforms(TaskBackendConformance):
    backend_type = "aer"
    bulk = 200
    bulk_reason = BULK

    @pytest.fixture(autouse=True)
    def _keeps_to_delays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The simulator takes as long as circuits say: how long they take else depends on the machine."""
        real = Simulator.run

        def run(self: Simulator, circuits: Sequence[QuantumCircuit], *rest: Any, **how: Any) -> Any:
            time.sleep(lab.seconds_of(circuits))
            return real(self, circuits, *rest, **how)

        monkeypatch.setattr(Simulator, "run", run)

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        return {"threads": 1}

    @pytest.fixture
    def samples(self) -> Sequence[Samples]:
        return lab.samples(lab.waiting)


class TestQiskitConforms(TaskBackendConformance):
    """On a laboratory that keeps its jobs, as a service does."""

    backend_type = "qiskit"
    sdk = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime")
    bulk = 200
    bulk_reason = BULK

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        arguments = {"directory": str(tmp_path / "lab")}
        options = {"backend": "circuits_lab:Lab", "arguments": arguments, "durable": True}
        return {**options, "interval": 0.05, "batch": 1}

    @pytest.fixture
    def engine(self, tmp_path: Path) -> lab.DeviceFaults:
        return lab.DeviceFaults(tmp_path / "lab")

    @pytest.fixture
    def samples(self) -> Sequence[Samples]:
        return lab.samples(lab.waiting)


class TestFakeDeviceConforms(ProviderConformance):
    """On fake devices of qiskit-ibm-runtime, in this process."""

    provider_type = "qiskit"

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        return {"provider": "circuits_lab:FakeAccount"}


class TestAccountConforms(ProviderConformance):
    """On an account whose devices keep their jobs."""

    provider_type = "qiskit"

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        arguments = {"directory": str(tmp_path / "lab")}
        return {
            "provider": "circuits_lab:LabAccount",
            "arguments": arguments,
            "durable": True,
            "interval": 0.05,
        }

    @pytest.fixture
    def samples(self) -> Sequence[Samples]:
        return lab.samples(lab.waiting)


class TestQiskitPluginConforms(PluginConformance):
    distribution = "anyjob-qiskit"
