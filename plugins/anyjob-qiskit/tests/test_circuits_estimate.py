"""The kind ``estimate``: values of observables, from measurements."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import circuits_lab as lab
import numpy as np
import pytest
from anyjob_qiskit import Estimate, sweep
from anyjob_qiskit.estimates.measuring import groups
from anyjob_qiskit.estimates.observables import as_texts, parse
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm3
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import Pauli, SparsePauliOp, Statevector, random_statevector
from qiskit.quantum_info.operators.random import random_unitary

from anyjob import Session, SpecError

BACKENDS = ["aer", "threads", "processes", "fake", "lab"]


def state(seed: int) -> QuantumCircuit:
    circuit = QuantumCircuit(3, name="state")
    circuit.prepare_state(random_statevector(8, seed=seed))  # `initialize` resets, and so runs shot by shot
    return circuit.decompose(reps=6)


OBSERVABLE = SparsePauliOp.from_list(
    [("ZZI", 0.5), ("XXY", -1.25), ("III", 0.3), ("IYZ", 0.7), ("XIX", 1), ("IIZ", -2)]
)


def test_values_are_those_of_the_state_within_their_errors(labs: Session) -> None:
    far = []
    for seed in range(12):
        spec = Estimate(state(seed), [OBSERVABLE, "YYY"], precision=0.02, seed=seed)
        found = labs.get_backend("aer").run(spec).result(60)
        assert found.shots == 2500
        for value, error, observable in zip(
            found.values, found.errors, [OBSERVABLE, Pauli("YYY")], strict=True
        ):
            exact = float(np.real(Statevector(state(seed)).expectation_value(observable)))
            far.append((value - exact) / error)
    assert max(map(abs, far)) < 5
    assert (
        0.5 < math.sqrt(sum(each**2 for each in far) / len(far)) < 1.6
    )  # the errors are neither small nor large


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_estimate_runs_wherever_circuits_do(backend: str, labs: Session) -> None:
    circuit = QuantumCircuit(2, name="pair")
    circuit.h(0)
    circuit.cx(0, 1)
    job = labs.get_backend(backend).run(
        Estimate(circuit, ["ZZ", "XX", "YY", "ZI", "2*II"], precision=0.05), tags={"study": "a"}
    )
    found = job.result(60)
    assert found.name == "pair"
    slack = 0.3 if backend == "fake" else 0.0  # its gates are noisy
    for value, exact in zip(found.values, [1, 1, -1, 0, 2], strict=True):
        assert abs(value - exact) <= slack + (0.3 if exact == 0 else 0)
    assert job.metadata()["route"][:2] == ["estimate", "circuit"]
    primitive = found.to_primitive()[0].data
    assert list(primitive.evs) == found.values
    assert list(primitive.stds) == found.errors


def test_a_sweep_of_estimates(labs: Session) -> None:
    circuit = lab.rotation()
    circuit.remove_final_measurements()
    spec = Estimate(circuit, "Z", precision=0.1)
    jobs = labs.get_backend("fake", level=None, seed=None).run_many(sweep(spec, theta=[0.0, math.pi]))
    assert [round(job.result(60).value) for job in jobs] == [1, -1]


def test_strings_that_do_not_disturb_each_other_are_measured_together() -> None:
    found = groups(("ZZI + IZZ - ZIZ", "XII + IXI", "III"))
    assert sorted(len(group.labels) for group in found) in ([2, 4], [3, 3])
    assert {group.basis for group in found} == {"ZZZ", "XXI"}


def test_a_register_of_that_name_and_bits_of_the_circuits_own_stay(labs: Session) -> None:
    circuit = qasm3.loads(
        'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[1] observed; bit loose; x q[0]; '
        "observed[0] = measure q[0]; if (observed[0]) { x q[1]; } loose = measure q[1]; x q[0]; x q[1];"
    )
    found = labs.get_backend("aer").run(Estimate(circuit, ["ZI", "IZ"], precision=0.1)).result(60)
    assert found.values == [1.0, 1.0]


def test_qiskits_estimator_gives_the_same(labs: Session) -> None:
    """The order of qubits, signs and bases are those of Qiskit."""
    circuit = QuantumCircuit(3)
    circuit.append(random_unitary(8, seed=4).to_instruction(), range(3))
    circuit = circuit.decompose(reps=8)
    asked = [OBSERVABLE, SparsePauliOp("XYZ"), SparsePauliOp("IIY", -0.5)]
    exact = StatevectorEstimator().run([(circuit, asked)]).result()[0].data.evs
    found = labs.get_backend("aer").run(Estimate(circuit, asked, precision=0.005, seed=1)).result(60)
    assert np.allclose(found.values, exact, atol=0.07)


# --- observables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("ZZ", "ZZ"),
        (" - ZZ+ .5*XI -2e-1 YY", "-ZZ + 0.5*XI - 0.2*YY"),
        ("2XX + 0.5*XX", "2.5*XX"),
        ({"ZZ": np.float64(0.25), "XX": -1}, "0.25*ZZ - XX"),
        (Pauli("-XZ"), "-XZ"),
        (SparsePauliOp(["XI", "IX"], [1, -0.125]), "XI - 0.125*IX"),
    ],
)
def test_observables_in_the_forms_that_people_have(asked: Any, text: str) -> None:
    assert as_texts(asked) == as_texts([asked]) == (text,)
    assert as_texts(text) == (text,)


numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(
    st.integers(1, 4).flatmap(
        lambda size: st.dictionaries(st.text("IXYZ", min_size=size, max_size=size), numbers, min_size=1)
    )
)
def test_an_observable_is_read_as_it_was_written(terms: dict[str, float]) -> None:
    (text,) = as_texts(terms)
    assert parse(text) == terms


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("", "without a Pauli string"),
        ("ZZ XX", "as of 'X"),
        ("ZZ + Q", "is no observable, as of '+ Q'"),
        ("ZZ + X", "different lengths"),
        ([], "at least one observable"),
        ({}, "without a Pauli string"),
        ({"ZQ": 1}, "made of I, X, Y and Z"),
        ({"ZZ": "much"}, "is a real number, not 'much'"),
        ({"ZZ": math.nan}, "not all finite"),
        (Pauli("iZZ"), "is not: no observable"),
        (3, "not 3"),
        ([3], "of type int"),
    ],
)
def test_what_is_no_observable_is_told(asked: Any, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        Estimate(lab.BELL_QASM, asked)
    assert message in str(raised.value)


@pytest.mark.parametrize("backend", ["aer", "threads"])
def test_a_circuit_that_does_not_fit_is_told_by_run(backend: str, labs: Session) -> None:
    place = labs.get_backend(backend)
    with pytest.raises(SpecError, match="has 2 qubits, and the observable 'ZZZ' is of 3"):
        place.run(Estimate(lab.bell(), ["ZZ", "ZZZ"]))


def test_measurements_at_the_end_do_not_disturb_what_is_estimated(labs: Session) -> None:
    assert labs.get_backend("aer").run(Estimate(lab.bell(), ["ZZ", "XX"])).result(60).values == [1, 1]


# --- the command line -----------------------------------------------------------------------------


def test_an_estimate_on_the_command_line(
    anyjob_cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    circuit = lab.bell().remove_final_measurements(inplace=False)
    (tmp_path / "pair.qasm").write_text(qasm3.dumps(circuit))
    asked = ("run", "-b", "aer", "--type", "estimate", str(tmp_path / "pair.qasm"), "--precision", "0.1")
    done = anyjob_cli(*asked, "--observables", "ZZ", "--observables", "0.5*XX - 0.5*YY")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "pair: 100 shots of each circuit",
        "             ZZ   1.000000 ± 0.000000",
        "0.5*XX - 0.5*YY   1.000000 ± 0.000000",
    ]
    done = anyjob_cli(*asked, "--observables", "ZZ", "--json")
    assert json.loads(done.stdout)["result"]["values"] == [1.0]
    done = anyjob_cli(*asked, "--observables", "ZQ")
    assert done.returncode != 0
    assert "'ZQ' is no observable" in done.stderr
