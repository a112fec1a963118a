"""What devices of Qiskit's do that nobody would guess: made-up ones, each with one oddity."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import circuits_lab as lab
import pytest
from anyjob_qiskit import Circuit, as_backend_v2, sweep
from anyjob_qiskit.circuits.transpiling import Transpiler
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm2, transpile
from qiskit.circuit import Clbit, Qubit
from qiskit.circuit.library import CXGate
from qiskit.primitives import BackendSamplerV2
from qiskit.transpiler.exceptions import TranspilerError
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error

import anyjob
from anyjob import JobFailedError, JobStatus, Session, SpecError


def odd(labs: Session, oddity: str = "none", when: str = "", of: str = "OddDevice", **options: Any) -> Any:
    """A backend on a device with an oddity."""
    arguments = {"oddity": oddity, "when": when}
    options = {"seed": None, **options}
    return labs.get_backend("fake", backend=f"circuits_faults:{of}", arguments=arguments, **options)


# --- failures -------------------------------------------------------------------------------------

FAILURES = {
    "result_raises": "ValueError: the file is gone",
    "key_error": "KeyError: 'counts'",
    "nothing": "NoneType",
    "status_word": "EXPLODED",
    "status_raises": "RuntimeError: no status today",
    "reason_in_result": "out of helium",
    "too_wide": "'0x1ff' is no value of 2 classical bits",
    "all_qubits": "' is no value of 2 classical bits",
}


@pytest.mark.parametrize(("oddity", "words"), FAILURES.items(), ids=FAILURES)
def test_whatever_a_device_makes_of_a_job_is_that_jobs_error(oddity: str, words: str, labs: Session) -> None:
    backend = odd(labs, oddity, batch=1)
    job = backend.run(Circuit(lab.bell()))
    assert anyjob.wait([job], timeout=60).done
    assert job.status() is JobStatus.ERROR
    with pytest.raises(JobFailedError, match=words):
        job.result(60)


@pytest.mark.parametrize("oddity", [each for each in FAILURES if each not in ("too_wide", "all_qubits")])
def test_a_job_that_a_device_breaks_on_leaves_others_alone(oddity: str, labs: Session) -> None:
    backend = odd(labs, oddity, "bad", batch=1)
    names = ["one", "bad", "two"]
    jobs = backend.run_many([Circuit(lab.flips("10", name), shots=4) for name in names])
    seen = {job.spec().circuits[0].circuit.name: job for job in anyjob.as_completed(jobs, timeout=60)}
    assert [seen[name].outcome().status.name for name in names] == ["DONE", "ERROR", "DONE"]
    assert seen["two"].result().counts == {"10": 4}


@pytest.mark.parametrize("oddity", ["one_failed", "error_of_a_batch"])
def test_of_a_batch_only_the_circuit_that_failed_fails(oddity: str, labs: Session) -> None:
    backend = odd(labs, oddity, "bad")
    jobs = backend.run_many([Circuit(lab.flips("10", name), shots=4) for name in ("one", "bad", "two")])
    assert len(backend.device.ran) == 1
    assert [job.outcome(60).status.name for job in jobs] == ["DONE", "ERROR", "DONE"]
    assert jobs[2].result().counts == {"10": 4}
    with pytest.raises(JobFailedError, match="cannot run this one"):
        jobs[1].result()


# --- results --------------------------------------------------------------------------------------


def in_two_registers() -> QuantumCircuit:
    circuit = QuantumCircuit(
        QuantumRegister(3), ClassicalRegister(1, "a"), ClassicalRegister(2, "b"), name="two registers"
    )
    circuit.x(0)
    circuit.measure([0, 1, 2], [0, 1, 2])
    return circuit


@pytest.mark.parametrize("oddity", ["no_header", "none_header", "thin_header", "floats"])
def test_what_a_result_does_not_say_of_bits_the_circuit_does(oddity: str, labs: Session) -> None:
    found = odd(labs, oddity).run(Circuit(in_two_registers(), shots=7)).result(60)
    assert found.counts == {"00 1": 7}
    assert found[0].registers == [("a", 1), ("b", 2)]
    assert found[0].name == "two registers"
    assert found.to_qiskit().get_counts() == {"00 1": 7}


def test_fractions_are_kept_and_make_whole_counts(labs: Session) -> None:
    found = odd(labs, "fractions").run(Circuit(lab.bell(), shots=101)).result(60)
    assert sum(found.counts.values()) == found[0].shots == 101
    assert sum(found.probabilities.values()) == pytest.approx(1)
    for bits, part in found.probabilities.items():
        assert abs(found.counts[bits] - 101 * part) <= 1
    job = odd(labs, "fractions").run(Circuit(lab.bell(), shots=101, per_shot=True))
    with pytest.raises(JobFailedError, match="gives fractions, and not what each shot gave"):
        job.result(60)


def test_counts_have_probabilities(labs: Session) -> None:
    assert labs.get_backend("aer").run(Circuit(lab.flips("10"), shots=4)).result(60).probabilities == {
        "10": 1.0
    }


def test_shots_that_a_device_only_counts_are_drawn_from_the_counts(labs: Session) -> None:
    backend = odd(labs, "no_memory")
    found = backend.run(Circuit(lab.bell(), shots=200, per_shot=True)).result(60)
    assert Counter(found.memory) == found.counts
    assert found.memory != sorted(found.memory)
    sampler = BackendSamplerV2(backend=as_backend_v2(backend))
    counts = sampler.run([lab.bell()], shots=100).result()[0].data.c.get_counts()
    assert set(counts) == {"00", "11"}
    assert min(counts.values()) > 10


@pytest.mark.parametrize("backend", ["aer", "sampler", "fake"])
def test_shots_are_kept_only_where_they_are_asked_for(backend: str, labs: Session) -> None:
    assert labs.get_backend(backend).run(Circuit(lab.bell(), shots=5)).result(60).memory == []


# --- bits and registers ---------------------------------------------------------------------------

LOOSE_FIRST = """OPENQASM 3.0;
include "stdgates.inc";
bit a;
bit[2] b;
qubit[3] q;
x q[2];
a = measure q[0];
b[0] = measure q[1];
b[1] = measure q[2];
"""
LOOSE_LAST = LOOSE_FIRST.replace("bit a;\nbit[2] b;", "bit[2] b;\nbit a;")


@pytest.mark.parametrize("backend", ["aer", "threads", "lab"])
@pytest.mark.parametrize(("program", "counts"), [(LOOSE_FIRST, "100"), (LOOSE_LAST, "010")])
def test_bits_outside_of_registers_are_bits_too(
    program: str, counts: str, backend: str, labs: Session
) -> None:
    found = labs.get_backend(backend).run(Circuit(program, shots=5, per_shot=True)).result(60)
    assert found.counts == {counts: 5}
    assert found.to_qiskit().get_counts() == found.counts
    data = found.to_primitive()[0].data
    assert data.b.get_counts() == {"10": 5}
    assert data.loose_bits.get_counts() == {"0": 5}


def test_registers_that_share_bits_and_such_that_have_none(labs: Session) -> None:
    bits = [Clbit() for _ in range(3)]
    circuit = QuantumCircuit([Qubit() for _ in range(3)], bits)
    circuit.add_register(ClassicalRegister(name="one", bits=[bits[2], bits[0]]))
    circuit.add_register(ClassicalRegister(name="other", bits=[bits[0], bits[1]]))
    circuit.add_register(ClassicalRegister(0, "none"))
    circuit.x(2)
    circuit.measure([0, 1, 2], [0, 1, 2])
    found = labs.get_backend("aer").run(Circuit(circuit, shots=5)).result(60)
    assert found.counts == {"100": 5}
    data = found.to_primitive()[0].data
    assert data.one.get_counts() == {"01": 5}
    assert data.other.get_counts() == {"00": 5}
    assert data.none.num_bits == 0
    assert data.none.num_shots == 5


def test_an_empty_register_is_written_as_qiskit_writes_it(labs: Session) -> None:
    circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(0, "none"), ClassicalRegister(2, "c"))
    circuit.x(1)
    circuit.measure([0, 1], [0, 1])
    bare = AerSimulator().run(circuit, shots=5).result().get_counts()
    found = labs.get_backend("aer").run(Circuit(circuit, shots=5)).result(60)
    assert found.counts == bare == found.to_qiskit().get_counts()
    assert found.to_primitive()[0].data.c.get_counts() == {"10": 5}
    assert found.to_primitive()[0].data.none.num_bits == 0


def test_bits_in_no_register_at_all(labs: Session) -> None:
    circuit = QuantumCircuit([Qubit(), Qubit()], [Clbit(), Clbit()])
    circuit.x(1)
    circuit.measure([0, 1], [0, 1])
    found = labs.get_backend("aer").run(Circuit(circuit, shots=5)).result(60)
    assert found.to_primitive()[0].data.loose_bits.get_counts() == {"10": 5}


# --- seeds and other options ----------------------------------------------------------------------


def test_a_seed_is_handed_over_or_refused_and_never_dropped(labs: Session) -> None:
    spec = Circuit(lab.bell(), shots=300, seed=11)
    bare = AerSimulator().run(lab.bell(), shots=300, seed_simulator=11).result().get_counts()
    known = odd(labs, of="HybridQasmSimulatorBackend")
    named = odd(labs, of="SeedlessDevice", seed_option="its_seed")
    assert [each.run(spec).result(60).counts for each in (known, named)] == [bare, bare]
    without = odd(labs, of="SeedlessDevice", seed_option="")
    without.run(spec).result(60)
    assert without.device.ran == [{"shots": 300, "seed_simulator": 0}]
    unknown = odd(labs, of="SeedlessDevice")
    with pytest.raises(SpecError, match="SeedlessDevice lists no option for the seed 11: leave it out, or"):
        unknown.run_many([Circuit(lab.bell()), spec])
    assert unknown.device.ran == []


def test_a_job_has_options_of_run_for_its_device(labs: Session) -> None:
    backend = odd(labs, run={"calibration": "old"})
    backend.run(Circuit(lab.bell(), shots=5)).result(60)
    backend.run(Circuit(lab.bell(), shots=5), options={"qiskit": {"run": {"calibration": "new"}}}).result(60)
    assert [each["calibration"] for each in backend.device.ran] == ["old", "new"]
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(1.0, 1), ["x"])
    for place, kind in ((backend, "qiskit"), (labs.get_backend("aer"), "aer")):
        noisy = {kind: {"run": {"noise_model": model}}}
        counts = place.run(Circuit(lab.flips("1"), shots=2000), options=noisy).result(60).counts
        assert 800 < counts["0"] < 1200
        assert place.run(Circuit(lab.flips("1"), shots=20)).result(60).counts == {"1": 20}
        with pytest.raises(SpecError, match="shots and memory are those of the circuit"):
            place.run(Circuit(lab.bell()), options={kind: {"run": {"shots": 3}}})
    with pytest.raises(SpecError, match="Aer's run has no option 'noise'"):
        labs.get_backend("aer").run(Circuit(lab.bell()), options={"aer": {"run": {"noise": model}}})


@pytest.mark.parametrize("backend", ["aer", "lab"])
def test_a_walltime_that_nobody_keeps_is_refused(backend: str, labs: Session) -> None:
    with pytest.raises(SpecError, match="no walltime"):
        labs.get_backend(backend).run(Circuit(lab.bell()), walltime="1h")


# --- transpiling ----------------------------------------------------------------------------------


def test_the_noise_of_gates_is_not_transpiled_away(labs: Session, tmp_path: Path) -> None:
    """Pairs of gates that cancel out are noisy all the same, beside a gate that the model does not have."""
    model = NoiseModel(basis_gates=["x", "rz", "sx"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.05, 1), ["x"])
    (tmp_path / "noise.json").write_text(json.dumps(model.to_dict(serializable=True)))
    circuit = QuantumCircuit(1, 1)
    for _ in range(10):
        circuit.x(0)
    circuit.h(0)
    circuit.h(0)
    circuit.measure(0, 0)
    counts = labs.get_backend("aer", noise=str(tmp_path / "noise.json")).run(
        Circuit(circuit, shots=4000, seed=1)
    )
    assert counts.result(60).counts["1"] > 400
    backend = odd(labs, of="HybridQasmSimulatorBackend")
    backend.run(Circuit(circuit)).result(60)
    assert backend.device.circuits[0].count_ops()["x"] == 10
    assert backend.run(Circuit(circuit, level=2)).result(60).counts
    assert "x" not in backend.device.circuits[1].count_ops()


def test_a_circuit_that_is_laid_out_stays_so(labs: Session) -> None:
    backend = labs.get_backend("fake", level=None)
    laid_out = transpile(lab.bell(), backend.device, initial_layout=[3, 4], optimization_level=1)
    rebuilt = QuantumCircuit.from_qasm_str(qasm2.dumps(laid_out))
    device = backend.device
    ran: list[QuantumCircuit] = []
    real = device.run
    device.run = lambda circuits, **options: (ran.extend(circuits), real(circuits, **options))[1]
    for circuit in (laid_out, rebuilt):
        backend.run(Circuit(circuit, seed=1)).result(60)
        backend.run(Circuit(circuit, seed=1, level=3)).result(60)
    for circuit in ran[:3]:
        used = {circuit.find_bit(qubit).index for each in circuit.data for qubit in each.qubits}
        assert used == {3, 4}


def test_circuits_go_as_they_are_where_nothing_is_transpiled(labs: Session) -> None:
    backend = odd(labs, of="BoundDevice", transpile=False)
    assert backend.run(Circuit(lab.rotation(), parameters={"theta": 0}, shots=4)).result(60).counts == {
        "0": 4
    }


def test_parameters_are_bound_before_where_a_target_takes_only_angles_that_are_known(
    labs: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Transpiler.__call__

    def bound_only(self: Transpiler, circuit: QuantumCircuit, level: int | None) -> QuantumCircuit:
        if circuit.parameters:
            raise TranspilerError("which angle?")
        return real(self, circuit, level)

    monkeypatch.setattr(Transpiler, "__call__", bound_only)
    jobs = odd(labs).run_many(sweep(Circuit(lab.rotation(), shots=4), theta=[0, math.pi]))
    assert [job.result(60).counts for job in jobs] == [{"0": 4}, {"1": 4}]


def ghz(qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(qubits, qubits)
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.barrier()
    circuit.measure(range(qubits), range(qubits))
    return circuit


@pytest.mark.parametrize("name", ["aer", "threads", "fake"])
def test_aer_simulates_more_qubits_than_a_state_vector_has(name: str, labs: Session) -> None:
    options = {"backend": "qiskit_aer:AerSimulator"} if name == "fake" else {}
    backend = labs.get_backend(name, **options)
    counts = backend.run(Circuit(ghz(60), shots=20)).result(60).counts
    assert set(counts) <= {"0" * 60, "1" * 60}
    circuit = ghz(40)
    circuit.append(CXGate().to_mutable().repeat(2), [0, 1])  # Aer has no such gate: it is transpiled
    assert backend.run(Circuit(circuit, shots=20)).result(60)[0].shots == 20
