"""Circuits on Aer, on every other backend, and on devices of Qiskit's."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import circuits_lab as lab
import pytest
from anyjob_qiskit import Circuit, CircuitResult, sweep
from anyjob_qiskit.backend import QiskitBackend
from anyjob_qiskit.provider import QiskitProvider
from anyjob_qiskit.results.reading import experiment_data
from anyjob_qiskit.simulation import dump_circuits, simulate
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.providers import QiskitBackendNotFoundError
from qiskit.result import Result
from qiskit_aer import AerSimulator
from qiskit_aer.jobs import AerJob
from qiskit_aer.noise import NoiseModel, amplitude_damping_error, depolarizing_error

import anyjob
from anyjob import (
    BackendAuthError,
    BackendError,
    BackendNotFoundError,
    BackendUnavailableError,
    ConfigError,
    JobFailedError,
    JobRejectedError,
    JobStatus,
    Session,
)
from anyjob.config.secrets import SecretError

EVERYWHERE = ["aer", "inline", "threads", "processes", "local", "lab", "fake", "sampler"]


@pytest.mark.parametrize("backend", EVERYWHERE)
def test_circuits_run_everywhere_with_what_was_asked(backend: str, labs: Session) -> None:
    """Several circuits, bound, with memory, give the same on simulators and on devices."""
    vector = ParameterVector("v", 2)
    circuit = QuantumCircuit(2, 2, name="vector")
    circuit.ry(vector[0], 0)
    circuit.ry(vector[1], 1)
    circuit.measure([0, 1], [0, 1])
    parameters = {"v": [0, math.pi], "theta": math.pi}
    spec = Circuit([circuit, lab.rotation()], shots=20, parameters=parameters, per_shot=True)
    result = labs.get_backend(backend).run(spec).result(60)
    noisy = backend in ("fake", "sampler")
    assert [max(each.counts, key=each.counts.__getitem__) for each in result] == ["10", "1"]
    assert [sum(each.counts.values()) for each in result] == [20, 20]
    assert [len(each.memory) for each in result] == [20, 20]
    assert noisy or [each.counts for each in result] == [{"10": 20}, {"1": 20}]
    assert [each.registers for each in result] == [[("c", 2)], [("c", 1)]]


@pytest.mark.parametrize("backend", ["aer", "processes", "lab", "local"])
def test_a_seed_gives_what_bare_aer_gives(backend: str, labs: Session) -> None:
    bare = AerSimulator().run(lab.bell(), shots=500, seed_simulator=11, memory=True).result()
    spec = Circuit(lab.bell(), shots=500, seed=11, per_shot=True)
    jobs = labs.get_backend(backend).run_many([spec, spec])
    for job in jobs:
        result = job.result(60)
        assert result.counts == bare.get_counts()
        assert result.memory == bare.get_memory()


def ones(result: CircuitResult, lazy: anyjob.Lazy[CircuitResult]) -> tuple[int, int]:
    return result.counts["1"], lazy.load()[0].shots


@pytest.mark.parametrize("of", ["aer", "local", "lab"])
@pytest.mark.parametrize("taken", ["local", "processes", "dask"])
def test_a_circuit_is_an_argument_of_a_call(of: str, taken: str, labs: Session) -> None:
    """It was refused where the call runs in another process, until the circuit had run."""
    circuit = labs.get_backend(of).run(Circuit(lab.rotation(), shots=20, parameters={"theta": math.pi}))
    if of == "aer":
        circuit.result(60)  # it lives in this process
    assert labs.get_backend(taken).run(ones, circuit, anyjob.lazy(circuit)).result(60) == (20, 20)


@pytest.mark.parametrize("backend", ["aer", "threads", "lab"])
def test_a_sweep_is_one_run_many(backend: str, labs: Session) -> None:
    angles = [math.pi * number / 25 for number in range(26)]
    jobs = labs.get_backend(backend).run_many(sweep(Circuit(lab.rotation(), shots=2000), theta=angles))
    labs.wait(jobs, timeout=60)
    for angle, job in zip(angles, jobs, strict=True):
        assert job.spec().parameters == {"theta": angle}
        assert abs(job.result().counts.get("1", 0) / 2000 - math.sin(angle / 2) ** 2) < 0.07


def test_the_result_is_that_of_qiskit_on_demand(labs: Session) -> None:
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    circuit.add_register(*QuantumCircuit(0, 2).cregs)
    circuit.x(2)
    circuit.measure([2], [4])
    bare = AerSimulator().run(circuit, shots=50, seed_simulator=3, memory=True).result()
    for per_shot in (True, False):
        result = labs.get_backend("aer").run(Circuit(circuit, shots=50, seed=3, per_shot=per_shot)).result(60)
        assert result.counts == bare.get_counts()
        assert result.memory == (bare.get_memory() if per_shot else [])
        assert result.to_qiskit().get_counts() == bare.get_counts()
        assert not per_shot or result.to_qiskit().get_memory() == bare.get_memory()
        (pub,) = result.to_primitive()
        assert list(pub.data) == ["meas", "c"]
        assert pub.data.c.get_counts() == {"10": 50}
        joined = {f"{bits[:2]} {bits[2:]}": n for bits, n in pub.join_data().get_counts().items()}
        assert joined == bare.get_counts()


@pytest.mark.parametrize(
    "counts", [{"0x5": 3, "0x10": 2}, {"0b101": 3, "0b10000": 2}, {"101": 3, "10000": 2}]
)
@pytest.mark.parametrize("sizes", [[5], [2, 3], [1, 1, 4]])
def test_counts_are_written_as_qiskit_writes_them(counts: dict[str, int], sizes: list[int]) -> None:
    registers = [[f"c{number}", size] for number, size in enumerate(sizes)]
    result = counted(counts, registers)
    (found,) = experiment_data(result)
    assert found["counts"] == result.get_counts()
    assert found["memory"] == result.get_memory()
    assert found["registers"] == registers


def counted(counts: dict[str, int], registers: list[Any]) -> Result:
    """The result of a device that has counted so."""
    memory = [bits for bits, number in counts.items() for _ in range(number)]
    one = {
        "shots": len(memory),
        "success": True,
        "data": {"counts": counts, "memory": memory},
        "header": {"name": "a", "creg_sizes": registers, "memory_slots": sum(size for _, size in registers)},
        "meas_level": 2,
    }
    about = dict.fromkeys(("backend_name", "backend_version", "qobj_id", "job_id"), "")
    return Result.from_dict({**about, "success": True, "results": [one]})


def test_what_is_written_in_two_ways_is_counted_together() -> None:
    (found,) = experiment_data(counted({"0x1": 3, "10": 1, "01": 2}, [["c", 2]]))
    assert found["counts"] == {"01": 5, "10": 1}
    assert sorted(found["memory"]) == ["01"] * 5 + ["10"]


def test_a_result_of_several_circuits_has_no_counts_of_its_own(labs: Session) -> None:
    result = labs.get_backend("aer").run(Circuit([lab.bell(), lab.bell()])).result(60)
    assert len(result) == 2
    with pytest.raises(BackendError, match=r"the result of 2 circuits: take one, as result\[0\]"):
        _ = result.counts


@pytest.mark.parametrize(("threads", "handed_over"), [("1", 0), ("2", 1)])
def test_who_simulates_with_one_core_has_no_other_thread(
    threads: str, handed_over: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aer's own would stay, and keep a process that is reused from making the next call."""
    calls = []
    submit = AerJob.submit
    monkeypatch.setattr(AerJob, "submit", lambda job: (calls.append(job), submit(job)))
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    run_options = {"shots": 10, "seed": None, "per_shot": False, "level": None}
    (found,) = simulate(dump_circuits([lab.flips("01")]), {}, {}, run_options)
    assert found["counts"] == {"01": 10}
    assert len(calls) == handed_over


def test_parallel_sessions_do_not_disturb_each_other(labs: Session) -> None:
    jobs = [labs.get_backend(name).run(Circuit(lab.flips("01"), shots=5)) for name in ("aer", "few", "fake")]
    labs.wait(jobs, timeout=60)
    assert [job.status() for job in jobs] == [JobStatus.DONE] * 3


def test_jobs_on_aer_go_on_where_a_hook_raises(labs: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = labs.get_backend("aer")
    heard = []

    def told(job_ids: Iterable[str]) -> None:
        real(job_ids)
        raise RuntimeError("a hook of a strict session")

    real = backend.notify
    monkeypatch.setattr(backend, "notify", told)
    monkeypatch.setattr(threading, "excepthook", lambda args: heard.append(str(args.exc_value)))
    jobs = backend.run_many([Circuit(lab.flips("10"), shots=4)] * 3)
    assert [job.result(60).counts for job in jobs] == [{"10": 4}] * 3
    backend.close()
    assert heard == ["a hook of a strict session"] * 6  # at the start and at the end of each


def test_a_backend_that_was_closed_takes_no_more(labs: Session) -> None:
    backend = labs.get_backend("aer")
    backend.run(Circuit(lab.bell())).result(60)
    backend.close()
    with pytest.raises(BackendError, match="'aer' was closed"):
        backend.run(Circuit(lab.bell()))


# --- options of aer -------------------------------------------------------------------------------


def test_aer_simulates_the_noise_of_a_fake_device(labs: Session) -> None:
    noisy = labs.get_backend("manila").run(Circuit(lab.flips("11111"), shots=2000)).result(60).counts
    assert 1000 < noisy["11111"] < 2000
    clean = labs.get_backend("aer").run(Circuit(lab.flips("11111"), shots=2000)).result(60).counts
    assert clean == {"11111": 2000}


def test_aer_simulates_a_noise_model_from_a_file(labs: Session, tmp_path: Path) -> None:
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(1.0, 1), ["x"])
    model.add_all_qubit_quantum_error(amplitude_damping_error(1.0), ["y"])
    (tmp_path / "noise.json").write_text(json.dumps(model.to_dict(serializable=True)))
    backend = labs.get_backend("aer", noise=str(tmp_path / "noise.json"))
    counts = backend.run(Circuit(lab.flips("1"), shots=2000, seed=1)).result(60).counts
    assert 800 < counts["0"] < 1200
    damped = QuantumCircuit(1, 1)
    damped.y(0)
    damped.measure(0, 0)
    assert backend.run(Circuit(damped, shots=100)).result(60).counts == {"0": 100}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "fake_nowhere"}, "no fake device 'fake_nowhere'; it has Fake"),
        ({"noise": "/no/such.json"}, "'/no/such.json' cannot be read: No such file"),
    ],
)
def test_options_that_cannot_be_kept_are_said_by_run(options: Any, message: str, labs: Session) -> None:
    backend = labs.get_backend("aer", **options)
    with pytest.raises((ConfigError, BackendError), match=message):
        backend.run(Circuit(lab.bell()))


def test_a_noise_model_that_is_none_is_said_by_run(labs: Session, tmp_path: Path) -> None:
    for text, message in (("{", "is no JSON"), ('{"errors": [3]}', "this is no noise model of Aer")):
        (tmp_path / "noise.json").write_text(text)
        with pytest.raises(ConfigError, match=message):
            labs.get_backend("aer", noise=str(tmp_path / "noise.json")).run(Circuit(lab.bell()))


def test_a_method_that_cannot_simulate_a_circuit_is_an_error_of_the_job(labs: Session) -> None:
    circuit = lab.bell()
    circuit.t(0)
    circuit.measure(0, 0)
    simulator = {"backend": "qiskit_aer:AerSimulator", "arguments": {"method": "stabilizer"}}
    for name, options in (("aer", {}), ("threads", {}), ("fake", {**simulator, "transpile": False})):
        job = labs.get_backend(name, **options).run(Circuit(circuit, method="stabilizer"))
        error = job.exception(60)
        assert job.status() is JobStatus.ERROR
        assert isinstance(error, JobFailedError)  # the same class wherever it ran
        assert "stabilizer" in str(error)
        assert str(error).count("ERROR") == 1


# --- devices of Qiskit's --------------------------------------------------------------------------


def test_jobs_that_are_handed_over_together_go_to_the_device_together(labs: Session) -> None:
    backend = labs.get_backend("lab")
    jobs = backend.run_many([Circuit(lab.flips(f"{number:05b}"), shots=5) for number in range(24)])
    assert sorted(backend.device.sizes()) == [4, 10, 10]
    assert [job.result(60).counts for job in jobs] == [{f"{number:05b}": 5} for number in range(24)]


def test_jobs_of_which_other_things_are_asked_go_apart(labs: Session) -> None:
    backend = labs.get_backend("lab")
    asked: list[dict[str, Any]] = [
        {},
        {"shots": 3},
        {"shots": 3},
        {"seed": 1},
        {"seed": 1},
        {"per_shot": True},
    ]
    jobs = backend.run_many([Circuit(lab.bell(), **{"shots": 5, **each}) for each in asked])
    assert sorted(backend.device.sizes()) == [1, 1, 1, 1, 2]
    labs.wait(jobs, timeout=60)
    assert [len(job.result().memory) for job in jobs] == [0, 0, 0, 0, 0, 5]


def test_jobs_that_share_one_of_the_device_are_cancelled_together_or_not(labs: Session) -> None:
    backend = labs.get_backend("lab")
    jobs = backend.run_many([lab.waiting(60.0)] * 3)
    assert backend.cancel_many(jobs[:2]) == [False, False]
    assert backend.cancel_many(jobs) == [True, True, True]
    assert {job.outcome(60).status for job in jobs} == {JobStatus.CANCELLED}


def test_a_device_that_refuses_is_heard(labs: Session, anyjob_environment: Path) -> None:
    backend = labs.get_backend("lab")
    (anyjob_environment / "lab").mkdir()
    lab.DeviceFaults(anyjob_environment / "lab").reject_next()
    with pytest.raises(JobRejectedError, match="there is no room left"):
        backend.run(Circuit(lab.bell()))


def test_of_jobs_that_a_device_refuses_together_each_is_tried_alone(
    labs: Session, anyjob_environment: Path
) -> None:
    (anyjob_environment / "lab").mkdir()
    lab.DeviceFaults(anyjob_environment / "lab").reject_next()
    backend = labs.get_backend("lab")
    jobs = backend.run_many([Circuit(lab.flips("10"), shots=4)] * 3)
    assert [job.result(60).counts for job in jobs] == [{"10": 4}] * 3
    assert sorted(backend.device.sizes()) == [1, 1, 1]


def test_a_job_of_the_device_is_attached_by_its_id(labs: Session) -> None:
    backend = labs.get_backend("lab")
    theirs = backend.device.run([lab.flips("10")], shots=4)
    assert backend.attach(theirs.job_id()).result(60).counts == {"10": 4}
    with pytest.raises(anyjob.JobNotFoundError):
        backend.attach("no-such-job")


def test_a_path_that_names_nothing_is_said_by_run(labs: Session) -> None:
    for path, message in (
        ("circuits_lab:Nobody", "cannot be imported: .*Nobody"),
        ("no_such_module:Nobody", "cannot be imported: No module .*: install it for .*, or set PYTHONPATH"),
        ("Nobody", "write it as 'module:name'"),
        ("builtins:dict", "dict gives {}, which is no BackendV2 of Qiskit's"),
    ):
        with pytest.raises(ConfigError, match=message):
            labs.get_backend("fake", backend=path).run(Circuit(lab.bell()))
    with pytest.raises(ConfigError, match=r"builtins:dict gives \{\}, which has no backends"):
        QiskitProvider.from_options("account", {"provider": "builtins:dict"}).backends()
    with pytest.raises(ConfigError, match=r"Lab cannot be called with \['nowhere'\]"):
        labs.get_backend("fake", backend="circuits_lab:Lab", arguments={"nowhere": 1}).run(
            Circuit(lab.bell())
        )


def test_secrets_reach_the_device_and_nothing_else(
    labs: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_KEY", "the key")
    backend = labs.get_backend(
        "lab", arguments={"directory": str(tmp_path)}, secrets={"key": {"env": "LAB_KEY"}}
    )
    backend.run(Circuit(lab.bell()))
    assert backend.device.key == "the key"
    assert "the key" not in repr(backend.options)


# --- the provider ---------------------------------------------------------------------------------


def test_a_token_that_is_missing_is_said_before_anything_runs(
    labs: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SecretError, match="LAB_TOKEN"):
        labs.get_backend("account/lab_one").run(Circuit(lab.bell()))
    monkeypatch.setenv("LAB_TOKEN", "expired")
    with pytest.raises(BackendAuthError, match=r"'account' does not take the credentials: .*token = \{ env"):
        labs.get_backend("account/lab_one")


def test_the_backends_of_an_account_are_found_filtered_and_run(
    labs: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "good")
    provider = labs.get_provider("account")
    assert [each.name() for each in provider.backends()] == ["account/lab_one", "account/lab_two"]
    assert [each.name() for each in provider.backends(num_qubits=5, min_num_qubits=2)] == [
        "account/lab_one",
        "account/lab_two",
    ]
    assert provider.backends(min_num_qubits=6) == []
    found = labs.get_backend("account/lab_two")
    assert isinstance(found, QiskitBackend)
    assert found.run(Circuit(lab.flips("101"), shots=3)).result(60).counts == {"101": 3}


def test_each_backend_of_an_account_runs_circuits_in_its_own_way(
    labs: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "good")
    one, other = labs.get_backend("account/lab_one", level=3), labs.get_backend("account/lab_two")
    assert [each.options.level for each in (one, other)] == [3, labs.get_provider("account").options.level]
    assert one.options.backend == other.options.backend
    assert one.run(Circuit(lab.flips("01"), shots=3)).result(60).counts == {"01": 3}


def test_the_least_busy_backend_is_the_one_that_works_and_has_the_shortest_queue(
    labs: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "good")
    provider: Any = labs.get_provider("account")
    one, two = provider.service.backends()
    for device, operational, pending in ((one, True, 3), (two, True, 2)):
        device.status = lambda o=operational, p=pending: anyjob.BackendStatus("", "", o, p)
    assert provider.least_busy().name() == "account/lab_two"
    assert labs.get_backend("account/least_busy").name() == "account/lab_two"
    assert provider.least_busy(filters=lambda each: each.name() != "lab_two").name() == "account/lab_one"
    two.status = lambda: anyjob.BackendStatus("", "", False, 0)
    assert provider.least_busy().name() == "account/lab_one"
    one.status = two.status
    with pytest.raises(BackendNotFoundError, match="matches and works, of 2"):
        provider.least_busy()


def test_a_service_is_asked_for_a_backend_by_its_name_where_it_takes_one(
    labs: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "good")
    provider: Any = labs.get_provider("account")
    devices = {device.name: device for device in provider.service.backends()}
    asked = []

    def backends(name: str | None = None) -> list[Any]:
        asked.append(name)
        if name == "lab_three":
            raise QiskitBackendNotFoundError("no such backend")
        if name == "lab_two":  # one that knows its devices by other names than these have
            return []
        return [device for key, device in devices.items() if name in (None, key)]

    monkeypatch.setattr(provider.service, "backends", backends)
    assert labs.get_backend("account/lab_one").name() == "account/lab_one"
    assert asked == ["lab_one"]
    assert labs.get_backend("account/lab_two").name() == "account/lab_two"
    with pytest.raises(BackendNotFoundError, match="lab_three"):
        labs.get_backend("account/lab_three")


def test_what_is_no_backend_of_qiskits_does_not_break_the_list(
    labs: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "good")
    provider: Any = labs.get_provider("account")
    good = provider.service.backends()

    class Targetless(lab.Lab):
        @property
        def num_qubits(self) -> int:
            raise RuntimeError("nobody knows")

    devices = [object(), *good, Targetless(str(good[0].directory), "many")]
    monkeypatch.setattr(provider.service, "backends", lambda: devices)
    with pytest.warns(UserWarning, match="provider account has <object object .* which is left out"):
        assert [each.name() for each in provider.backends()] == [
            "account/lab_one", "account/lab_two", "account/many",
        ]  # fmt: skip
    with pytest.warns(UserWarning, match="left out"):
        assert provider.get_backend("many").run(Circuit(lab.flips("1"), shots=3)).result(60).counts == {
            "1": 3
        }


def test_a_service_that_is_away_is_told_from_one_that_refuses(labs: Session) -> None:
    from anyjob_qiskit.devices.provider_errors import translating_errors

    class RequestsApiError(Exception):  # what qiskit-ibm-runtime raises
        def __init__(self, status_code: int) -> None:
            super().__init__("…")
            self.status_code = status_code

    for error, wanted in (
        (RequestsApiError(503), BackendUnavailableError),
        (RequestsApiError(401), BackendAuthError),
        (ConnectionResetError(), BackendUnavailableError),
        (ValueError(), ValueError),
    ):
        with pytest.raises(wanted), translating_errors("ibm"):
            raise error
