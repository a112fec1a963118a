"""Qiskit's own primitives on anyjob's backends; and jobs of foreign providers as jobs of anyjob's."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import circuits_lab as lab
import numpy as np
import pytest
from anyjob_qiskit import Circuit, as_backend_v2, wrap
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers import JobStatus as QiskitStatus
from qiskit.providers import JobV1
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import CouplingMap, Target
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import EstimatorV2, SamplerV2

import anyjob
from anyjob import (
    BackendUnavailableError,
    InvalidStatusError,
    JobCancelledError,
    JobFailedError,
    JobStatus,
    Session,
    SpecError,
)


def test_a_sampler_of_qiskits_runs_on_a_backend(labs: Session) -> None:
    sampler = BackendSamplerV2(backend=as_backend_v2(labs.get_backend("threads")))
    circuit = lab.rotation()
    pub = sampler.run([(circuit, [[0.0], [np.pi]])], shots=50).result()[0]
    assert [pub.data.c[number].get_counts() for number in range(2)] == [{"0": 50}, {"1": 50}]


def ansatz_of_two_qubits() -> QuantumCircuit:
    angles = ParameterVector("angle", 4)
    circuit = QuantumCircuit(2)
    for number, angle in enumerate(angles):
        circuit.ry(angle, number % 2)
        if number == 1:
            circuit.cx(0, 1)
    return circuit


@pytest.mark.parametrize("backend", ["local", "aer", "dask"])
def test_a_vqe_with_qiskits_own_classes_finds_the_ground_state(backend: str, labs: Session) -> None:
    """Two spins in a transverse field, by gradients from the parameter-shift rule."""
    hamiltonian = SparsePauliOp.from_list([("ZZ", -1.0), ("XI", -0.5), ("IX", -0.5)])
    exact = float(np.linalg.eigvalsh(hamiltonian.to_matrix())[0])
    ansatz = ansatz_of_two_qubits()
    device = as_backend_v2(labs.get_backend(backend), jobs=2, name="vqe")
    estimator = BackendEstimatorV2(backend=device, options={"seed_simulator": 1})
    angles = np.array([0.4, 0.3, 0.2, 0.1])
    for _ in range(10):
        shifted = np.array([angles + np.pi / 2 * sign * unit for unit in np.eye(4) for sign in (1, -1)])
        energies = estimator.run([(ansatz, hamiltonian, shifted)], precision=0.02).result()[0].data.evs
        angles -= 0.6 * (energies[0::2] - energies[1::2]) / 2
    found = Statevector(ansatz.assign_parameters(angles)).expectation_value(hamiltonian).real
    assert exact <= found < exact + 0.05
    with Session(labs.config, state=labs.state) as later:
        assert len(later.jobs(name="vqe")) == (20 if backend == "local" else 0)


def test_its_jobs_are_those_of_qiskit(labs: Session) -> None:
    device = as_backend_v2(labs.get_backend("aer"), jobs=3)
    job = device.run([lab.flips(f"{number:03b}") for number in range(5)], shots=9, memory=True)
    assert isinstance(job, JobV1)
    assert job.backend() is device
    assert [len(each.spec().circuits) for each in job.jobs] == [1, 2, 2]
    result = job.result(timeout=60)
    assert [result.get_counts(number) for number in range(5)] == [{f"{number:03b}": 9} for number in range(5)]
    assert result.get_memory(4) == ["100"] * 9
    assert job.status() is QiskitStatus.DONE
    assert job.cancel() is False


def test_its_jobs_can_be_cancelled_and_say_so(labs: Session) -> None:
    job = as_backend_v2(labs.get_backend("lab")).run(lab.waiting_circuit(60.0))
    assert job.status() in (QiskitStatus.QUEUED, QiskitStatus.RUNNING)
    assert job.cancel() is True
    anyjob.wait(job.jobs, timeout=60)
    assert job.status() is QiskitStatus.CANCELLED
    with pytest.raises(JobCancelledError):
        job.result()


def test_what_it_cannot_do_is_refused(labs: Session) -> None:
    device = as_backend_v2(labs.get_backend("aer"))
    with pytest.raises(SpecError, match="gives bits, which is meas_level=2; not meas_level=1"):
        device.run(lab.bell(), meas_level=1)
    with pytest.raises(SpecError, match="takes shots, memory and seed_simulator; not noise_model"):
        device.run(lab.bell(), noise_model=3)
    with pytest.raises(SpecError, match="theta"):
        device.run(lab.rotation())


def test_its_name_tells_whether_it_simulates(labs: Session) -> None:
    """qiskit-experiments takes what has 'simulator' in its name for a device whose gates have no places."""
    names = [as_backend_v2(labs.get_backend("aer"), target=each).name for each in (None, fake_target())]
    assert names == ["anyjob_aer_simulator", "anyjob_aer"]


def fake_target() -> Target:
    return Target.from_configuration(["cx", "x"], num_qubits=2, coupling_map=CouplingMap([(0, 1)]))


def test_the_primitives_of_ibms_runtime_run_on_it(labs: Session) -> None:
    """They copy the backend deeply, and pass how to measure."""
    device = as_backend_v2(labs.get_backend("aer"))
    copied = copy.deepcopy(device)
    copied.set_options(shots=7)
    assert (copied.anyjob_backend, device.options.shots) == (device.anyjob_backend, 1024)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler, estimator = SamplerV2(mode=device), EstimatorV2(mode=device)
        sampler.options.execution.meas_type = "classified"
        pub = sampler.run([lab.flips("10")], shots=20).result()[0]
        circuit = QuantumCircuit(1)
        circuit.x(0)
        energy = estimator.run([(circuit, SparsePauliOp("Z"))]).result()[0].data.evs
    assert pub.data.c.get_counts() == {"10": 20}
    assert energy == pytest.approx(-1)


@pytest.mark.parametrize("backend", ["aer", "processes"])
def test_names_and_metadata_of_circuits_come_back(backend: str, labs: Session) -> None:
    circuits = [lab.flips("10", name="a circuit/of mine"), lab.flips("01", name="other")]
    circuits[0].metadata = {"xval": np.float64(0.5), "phase": 1j, "array": np.arange(2)}
    result = as_backend_v2(labs.get_backend(backend)).run(circuits, shots=3).result()
    headers = [each.header if isinstance(each.header, dict) else vars(each.header) for each in result.results]
    assert [each["name"] for each in headers] == ["a circuit/of mine", "other"]
    assert headers[0]["metadata"] is circuits[0].metadata
    assert result.get_counts(circuits[1]) == {"01": 3}


def test_metadata_that_cannot_travel_is_named(labs: Session) -> None:
    circuit = lab.flips("10")
    circuit.metadata = {"xval": np.float64(0.5), "values": np.arange(3)}
    assert labs.get_backend("processes").run(Circuit(circuit, shots=3)).result(60).counts == {"10": 3}
    circuit.metadata["phase"] = 1j
    with pytest.raises(SpecError, match="the metadata 'phase' of the circuit 'flips' cannot be written"):
        labs.get_backend("processes").run(Circuit(circuit, shots=3))


# --- jobs of foreign providers --------------------------------------------------------------------


class Foreign:
    """A job as providers have them: it says what it is told to say."""

    def __init__(self, *answers: Any, result: Any = None, cancel: Any = True) -> None:
        self.answers = list(answers)
        self.given, self.cancels = result, cancel
        self.asked = 0

    def job_id(self) -> str:
        return "f-1"

    def backend(self) -> str:
        return "device"

    def status(self) -> Any:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def result(self) -> Any:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    def cancel(self) -> Any:
        if isinstance(self.cancels, Exception):
            raise self.cancels
        return self.cancels


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (QiskitStatus.RUNNING, JobStatus.RUNNING),
        (QiskitStatus.DONE, JobStatus.DONE),
        ("QUEUED", JobStatus.QUEUED),
        ("Running", JobStatus.RUNNING),
        ("job is queued", JobStatus.QUEUED),
        ("COMPLETED", JobStatus.DONE),
        ("Cancelled - Ran too long", JobStatus.ERROR),
        ("failed", JobStatus.ERROR),
        ("canceled", JobStatus.CANCELLED),
    ],
)
def test_a_status_is_an_enum_or_a_text(answer: Any, status: JobStatus) -> None:
    assert wrap(Foreign(answer)).status() is status


@pytest.mark.parametrize("answer", [None, {"status": "DONE"}, "no such word", 3])
def test_a_status_that_is_neither_ends_the_wait(answer: Any) -> None:
    """ASKED: an unknown status waited for ever | qiskit-ibm-runtime#2673 |"""
    with pytest.raises(InvalidStatusError):
        wrap(Foreign(answer)).wait_for_final_state(timeout=10)


def test_a_real_job_of_qiskits_is_waited_for_with_others() -> None:
    simulator = AerSimulator()
    jobs = [wrap(simulator.run(lab.flips(bits), shots=3)) for bits in ("01", "10")]
    done, left = anyjob.wait(jobs, timeout=60)
    assert not left
    assert len(done) == 2
    assert [job.result().get_counts() for job in jobs] == [{"01": 3}, {"10": 3}]
    assert jobs[0].backend() is simulator
    assert jobs[0].job_id() == jobs[0].wrapped.job_id()


def test_a_result_is_a_copy_whether_it_is_cached_or_not() -> None:
    """cached results: mutated by the user, or filling memory | ibmq-provider#466"""
    job = wrap(Foreign("DONE", result={"counts": {"0": 1}}))
    job.result()["counts"]["0"] = 2
    assert job.result() == {"counts": {"0": 1}}


def test_a_job_that_did_not_succeed_has_no_result() -> None:
    """a cancelled job returned None | qiskit-ibm-runtime PR#930 | JobCancelledError"""
    with pytest.raises(JobCancelledError):
        wrap(Foreign("CANCELLED")).result()
    failed = Foreign("QUEUED", "ERROR")
    failed.error_message = lambda: "out of calibration"  # type: ignore[attr-defined]
    with pytest.raises(JobFailedError, match=r"\(exception\): out of calibration"):
        wrap(failed).result()
    with pytest.raises(JobFailedError, match="its provider does not say why") as raised:
        wrap(Foreign("CANCELLED - RAN TOO LONG")).result()
    assert raised.value.reason == "walltime"
    with pytest.raises(JobFailedError, match="the file is gone"):
        wrap(Foreign("DONE", result=RuntimeError("the file is gone"))).result()
    bad = AerSimulator(method="stabilizer").run(_not_clifford()).result()
    with pytest.raises(JobFailedError, match="ERROR"):
        wrap(Foreign("DONE", result=bad)).result()


def _not_clifford() -> QuantumCircuit:
    circuit = lab.bell()
    circuit.t(0)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize(
    ("cancel", "accepted"), [(True, True), (False, False), (None, True), (RuntimeError("too late"), False)]
)
def test_a_cancel_says_whether_it_was_accepted(cancel: Any, accepted: bool) -> None:
    """cancel did nothing, or did not say | qiskit-jku-provider#26, qiskit#638"""
    assert wrap(Foreign("RUNNING", cancel=cancel)).cancel() is accepted
    assert wrap(Foreign("DONE", cancel=cancel)).cancel() is False


def test_a_queue_position_is_told_where_there_is_one() -> None:
    """monitor crashed without queue_position | qiskit-metapackage#1458 | optional everywhere"""
    job = Foreign("QUEUED")
    assert wrap(job).queue_position() is None
    job.queue_position = lambda: 7  # type: ignore[attr-defined]
    assert wrap(job).queue_position() == 7
    job.queue_position = lambda: 1 / 0  # type: ignore[attr-defined]
    assert wrap(job).queue_position() is None


def test_a_provider_that_is_away_does_not_end_the_wait() -> None:
    """a transient error while polling ended the wait | qiskit-aqt-provider#274, qiskit-aqua#752"""
    job = wrap(Foreign("RUNNING", ConnectionError("reset"), "DONE", result=1))
    job.wait_for_final_state(timeout=30, wait=0.01)
    assert job.result() == 1
    with pytest.raises(BackendUnavailableError):
        wrap(Foreign(ConnectionError("reset"))).status()
