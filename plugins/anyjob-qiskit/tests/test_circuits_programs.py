"""Circuits as OpenQASM and QPY; and what is wrong with them is said where it is, and before anything runs."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import circuits_lab as lab
import msgspec
import numpy as np
import pytest
from anyjob_qiskit import Circuit, Estimate, sweep
from anyjob_qiskit.circuits import foreign_circuits, formats
from anyjob_qiskit.circuits.formats import _parse
from anyjob_qiskit.circuits.lazy_program import LazyProgram, circuits_of
from anyjob_qiskit.circuits.openqasm import GATES
from anyjob_qiskit.estimate_job import EstimateJob
from anyjob_qiskit.job_type import CircuitJob
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm2
from qiskit.circuit import ClassicalRegister, Clbit, Gate, Parameter, ParameterVector

from anyjob import ConfigError, File, Session, SpecError


@st.composite
def circuits(draw: st.DrawFn) -> QuantumCircuit:
    circuit = QuantumCircuit(3, 3)
    for name in draw(st.lists(st.sampled_from([*GATES, "barrier", "reset"]), max_size=6)):
        method = getattr(circuit, name)
        angles = {"u": 3, "p": 1, "rx": 1, "ry": 1, "rz": 1, "cp": 1, "crx": 1, "cry": 1, "crz": 1}.get(
            name, 0
        )
        if name in ("barrier", "reset"):
            method(draw(st.integers(0, 2)))
            continue
        qubits = 3 if name in ("ccx", "cswap") else 2 if name[0] == "c" or name == "swap" else 1
        given = [draw(st.floats(-10, 10)) for _ in range(angles)]
        method(*given, *draw(st.permutations(range(3)))[:qubits])
    circuit.measure(range(3), range(3))
    return circuit


@settings(max_examples=60)
@given(circuits())
def test_what_is_written_as_openqasm_is_read_back_the_same(circuit: QuantumCircuit) -> None:
    file = LazyProgram(circuit)
    assert file.path.endswith(".qasm")
    (found,) = _parse(file.path, file.content)
    assert [each.operation.name for each in found.data] == [each.operation.name for each in circuit.data]
    for one, other in zip(found.data, circuit.data, strict=True):
        assert [found.find_bit(bit).index for bit in one.qubits] == [
            circuit.find_bit(bit).index for bit in other.qubits
        ]
        for got, wanted in zip(one.operation.params, other.operation.params, strict=True):
            assert float(got) == wanted


def test_what_openqasm_cannot_carry_is_kept_as_qpy() -> None:
    vector = ParameterVector("a", 2)
    circuit = lab.bell("with vector")
    circuit.rx(vector[0] + 1, 0)
    circuit.rx(vector[1], 1)
    file = LazyProgram(circuit)
    assert file.path == "with-vector.qpy"
    (found,) = _parse(file.path, file.content)
    assert found == circuit
    assert [parameter.name for parameter in found.parameters] == ["a[0]", "a[1]"]


@pytest.mark.parametrize(
    "add",
    [
        "metadata",
        "phase",
        "loose bits",
        "open control",
        "reserved",
        "twice",
        "gate",
        "own gate",
        "expression",
        "condition",
    ],
)
def test_circuits_that_would_lose_something_as_openqasm_are_kept_as_qpy(add: str) -> None:
    circuit = lab.bell()
    if add == "metadata":
        circuit.metadata = {"study": "a"}
    elif add == "phase":
        circuit.global_phase = 1.0
    elif add == "loose bits":
        circuit.add_bits([Clbit()])
    elif add == "open control":
        circuit.cx(0, 1, ctrl_state=0)
    elif add in ("reserved", "twice"):
        name = "measure" if add == "reserved" else "theta"
        circuit.add_register(ClassicalRegister(1, name))
        circuit.rx(Parameter("theta"), 0)
    elif add == "gate":
        circuit.rxx(0.1, 0, 1)
    elif add == "own gate":  # of a name that means something else
        circuit.append(Gate("h", 1, []), [0])
    elif add == "expression":
        circuit.rx(2 * Parameter("theta"), 0)
    else:
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.x(0)
    assert LazyProgram(circuit).path.endswith(".qpy")


V3_BELL = lab.BELL_QASM.encode()


def test_a_spec_takes_circuits_files_and_texts(tmp_path: Path) -> None:
    (tmp_path / "two.qasm").write_text(qasm2.dumps(lab.bell()))
    spec = Circuit([lab.bell("my bell"), tmp_path / "two.qasm", lab.BELL_QASM, File("a.b/c.qasm", V3_BELL)])
    found = [circuits_of(file)[0] for file in spec.circuits]
    assert [each.name for each in found] == ["my bell", "two", "circuit", "c"]
    assert [each.count_ops()["measure"] for each in found] == [2, 2, 2, 2]
    assert Circuit(lab.bell()) == Circuit([lab.bell()])
    assert msgspec.json.decode(msgspec.json.encode(Circuit(lab.bell())), type=Circuit) == Circuit(lab.bell())


def test_a_spec_holds_a_circuit_as_it_was() -> None:
    circuit = lab.bell()
    spec = Circuit(circuit)
    circuit.x(0)
    assert spec == Circuit(lab.bell()) != Circuit(circuit)
    (file,) = pickle.loads(pickle.dumps(spec)).circuits
    assert isinstance(file, File)
    assert file == spec.circuits[0]


def test_a_circuit_is_written_only_when_it_travels(labs: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "write", lambda circuit: 1 / 0)
    job = labs.get_backend("aer").run(Circuit(lab.flips("10"), shots=5))
    assert job.result(60).counts == {"10": 5}
    with pytest.raises(ZeroDivisionError):
        pickle.dumps(job.spec())


def test_what_is_no_circuit_is_named() -> None:
    with pytest.raises(SpecError, match=r"a QuantumCircuit of Qiskit, a file, or the text .* of type float"):
        Circuit(3.0)  # type: ignore[arg-type]


def test_a_sweep_has_every_combination_and_shares_its_program() -> None:
    found = sweep(Circuit(lab.rotation(), shots=7), theta=[0.1, 0.2], phi=[1, 2])
    assert [each.parameters for each in found] == [
        {"theta": 0.1, "phi": 1.0},
        {"theta": 0.1, "phi": 2.0},
        {"theta": 0.2, "phi": 1.0},
        {"theta": 0.2, "phi": 2.0},
    ]
    assert all(each.circuits[0] is found[0].circuits[0] and each.shots == 7 for each in found)
    with pytest.raises(SpecError, match="at least one parameter"):
        sweep(Circuit(lab.rotation()))


# --- bad input, on every way to run ---------------------------------------------------------------

V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\n'
V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\n'


def _unbound() -> dict[str, Any]:
    return {"circuits": lab.rotation()}


BAD: dict[str, tuple[Any, str]] = {
    "syntax": (
        lambda: {"circuits": V3 + "h q[0]\ncx q[0], q[1];\n"},
        "line 6, column 1: 'cx' is not expected",
    ),
    "end": (lambda: {"circuits": V3 + "h q[0]"}, "line 5, column 7: the end of the program is not expected"),
    "token": (lambda: {"circuits": V3 + "  $$$ q;\n"}, "line 5, column 3: token recognition error"),
    "gate": (lambda: {"circuits": V3 + "nosuch q;\n"}, "line 5, column 1: gate 'nosuch' is not defined"),
    "no such qubit": (
        lambda: {"circuits": V3 + "h q[0];\n  h q[7];\n"},
        "line 6, column 5: IndexError: .*out of range",
    ),
    "twice the same": (lambda: {"circuits": V3 + "cx q[0], q[0];\n"}, "line 5, column 1: duplicate .*bit"),
    "end, version 2": (lambda: {"circuits": V2 + "h q[0]"}, "line 5, column 1: unexpected .* see ';'$"),
    "syntax, version 2": (lambda: {"circuits": V2 + "h q[0]\ncx q[0],q[1];"}, "line 6, column 1: needed ';'"),
    "gate, version 2": (
        lambda: {"circuits": V2 + " nosuch q[0];"},
        "line 5, column 2: 'nosuch' is not defined",
    ),
    "no angle, version 2": (
        lambda: {"circuits": V2 + "rz q[0];"},
        "circuit.qasm: a gate lacks its angles: RZGate.*'phi'",
    ),
    "no program": (lambda: {"circuits": File("a.txt", b"hello")}, "a.txt: this is no QPY, and no OpenQASM"),
    "no text": (lambda: {"circuits": File("a.bin", b"\xff\xfe")}, "a.bin: this is neither OpenQASM"),
    "broken QPY": (
        lambda: {"circuits": File("a.qpy", b"QISKIT\x0c")},
        "a.qpy: this is no QPY that can be read",
    ),
    "no measurement": (lambda: {"circuits": V3 + "h q[0];"}, "measures nothing"),
    "unbound": (_unbound, r"leaves 'theta' without a value: give parameters=\{\"theta\": …\}"),
    "unknown parameter": (
        lambda: {"circuits": lab.rotation(), "parameters": {"theta": 0, "thetta": 1}},
        "no circuit has a parameter 'thetta'; did you mean 'theta'",
    ),
    "too many values": (
        lambda: {"circuits": lab.rotation(), "parameters": {"theta": [0, 1]}},
        "'theta' is a single parameter",
    ),
    "missing file": (lambda: {"circuits": "no-such.qasm"}, "cannot read the file 'no-such.qasm'"),
    "no shots": (lambda: {"circuits": lab.bell(), "shots": 0}, "1 or more, not 0"),
}
"""Fields of specs that cannot be run, and what is said of them."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("backend", ["aer", "threads", "lab"])
@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_run_is_said_by_run(what: str, backend: str, labs: Session) -> None:
    """qiskit-ibm-provider#555 and kin: nothing is left to be found out by result()."""
    make, message = BAD[what]
    with pytest.raises(SpecError, match=message):
        labs.get_backend(backend).run(Circuit(**make()))
    assert labs.jobs() == []


def test_more_qubits_than_the_target_has(labs: Session) -> None:
    wide = lab.flips("1" * 6, name="wide")
    for backend, name in (("lab", "lab"), ("manila", "manila")):
        with pytest.raises(SpecError, match=f"wide.qasm: the circuit has 6 qubits, and {name} has 5"):
            labs.get_backend(backend).run(Circuit(wide))


def test_more_shots_than_the_target_takes(labs: Session) -> None:
    for backend, most in (("lab", "100,000"), ("aer", "1,000,000"), ("few", "10")):
        with pytest.raises(SpecError, match=f"2,000,000 shots are more than {backend} takes: {most}"):
            labs.get_backend(backend).run(Circuit(lab.bell(), shots=2_000_000))


def test_more_circuits_than_a_job_of_the_target_takes(labs: Session) -> None:
    with pytest.raises(SpecError, match="11 circuits are more than a job of lab takes, 10"):
        labs.get_backend("lab").run(Circuit([lab.bell()] * 11))


def test_one_bad_circuit_of_many_keeps_all_from_being_submitted(labs: Session) -> None:
    for backend in ("aer", "lab", "threads"):
        with pytest.raises(SpecError, match="theta"):
            labs.get_backend(backend).run_many([Circuit(lab.bell()), Circuit(lab.rotation())])
    assert labs.jobs() == []
    assert labs.get_backend("lab").device.sizes() == []


# --- what users have ------------------------------------------------------------------------------


def test_listings_tell_circuits_by_their_names() -> None:
    files = (File("runs/bell.qasm", lab.BELL_QASM.encode()), LazyProgram(lab.rotation()))
    values = {"theta": 0.5, "v": [0.1, 0.2]}
    assert (
        CircuitJob.describe(Circuit(files, shots=2000, parameters=values))
        == "bell.qasm, rotation, 2,000 shots, theta=0.5, v=[2 values]"
    )
    assert CircuitJob.describe(Circuit([lab.bell()] * 6)).startswith("bell, bell, bell, bell, 2 more, 1,024 ")
    spec = Estimate(lab.bell(), ["ZZ", "XX"], parameters=dict.fromkeys("abcde", 1))
    assert EstimateJob.describe(spec) == "ZZ and 1 more of bell, a=1, b=1, c=1, d=1, 1 more"


@pytest.mark.parametrize("backend", ["aer", "threads"])
def test_who_hands_over_a_circuit_of_qiskits_as_it_is_is_told_how(backend: str, labs: Session) -> None:
    run: Any = labs.get_backend(backend).run
    with pytest.raises(
        SpecError, match=r"spec of a plugin: anyjob_qiskit\.Circuit\(…\) or anyjob_qiskit\.Est"
    ):
        run(lab.bell())
    with pytest.raises(
        SpecError, match=r"'shots' is a field of the work, .* give it to Circuit\(…, shots=…\)"
    ):
        run(Circuit(lab.bell()), shots=100)


def test_numpys_integers_are_integers() -> None:
    spec = Circuit(lab.bell(), shots=np.int64(7), seed=np.uint8(3), level=np.int32(1))
    assert (type(spec.shots), spec.shots, spec.seed, spec.level) == (int, 7, 3, 1)
    with pytest.raises(SpecError, match="shots"):
        Circuit(lab.bell(), shots=np.int64(0))
    with pytest.raises(SpecError, match="shots"):
        Circuit(lab.bell(), shots=7.0)  # type: ignore[arg-type]


def test_a_program_includes_what_is_beside_it(tmp_path: Path, labs: Session) -> None:
    (tmp_path / "mine.inc").write_text("gate flip a { x a; }\n")
    (tmp_path / "flip.qasm").write_text(
        'OPENQASM 2.0;\ninclude "qelib1.inc";\ninclude "mine.inc";\n'
        "qreg q[1];\ncreg c[1];\nflip q[0];\nmeasure q[0] -> c[0];\n"
    )
    for backend in ("aer", "processes"):
        spec = Circuit(tmp_path / "flip.qasm", shots=4)
        assert labs.get_backend(backend).run(spec).result(60).counts == {"1": 4}


@pytest.mark.parametrize("program", [lab.BELL_QASM, qasm2.dumps(lab.bell())])
def test_a_byte_order_mark_is_no_part_of_a_program(program: str, tmp_path: Path) -> None:
    (tmp_path / "bell.qasm").write_text(program, encoding="utf-8-sig")
    for source in (tmp_path / "bell.qasm", "\ufeff" + program):
        (circuit,) = circuits_of(Circuit(source).circuits[0])
        assert circuit.num_qubits == 2


def test_a_version_of_openqasm_that_there_is_not_yet_is_told(labs: Session) -> None:
    program = lab.BELL_QASM.replace("3.0", "4.0")
    with pytest.raises(
        SpecError, match=r"circuit\.qasm: this is OpenQASM 4, and what can be read is OpenQASM 2 and 3"
    ):
        labs.get_backend("aer").run(Circuit(program))


def test_a_circuit_that_cannot_be_transpiled_is_refused_before_others_are_taken(labs: Session) -> None:
    unfit = QuantumCircuit(1, 1, name="unfit")
    unfit.append(Gate("magic", 1, []), [0])
    unfit.measure(0, 0)
    backend = labs.get_backend("lab")
    with pytest.raises(SpecError, match=r"unfit: it cannot be transpiled for the device: .*magic"):
        backend.run_many([Circuit(lab.bell())] * 12 + [Circuit(unfit)])
    assert backend.device.sizes() == []


def test_what_is_in_the_extra_is_named_with_it(labs: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "qiskit_ibm_runtime"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "qiskit_ibm_runtime", None)
    with pytest.raises(ConfigError, match=r"pip install 'anyjob-qiskit\[ibm\]'"):
        labs.get_backend("fake").run(Circuit(lab.bell()))


class Foreign:
    """A circuit of a library that the plugin does not know, and whose author has registered a function."""

    __module__ = "acme.circuits"
    text = lab.BELL_QASM

    def broken(self) -> str:
        raise ValueError("there is no OpenQASM for a beam splitter")


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The function is registered as an entry point, which is loaded when there is such a circuit."""
    found = [
        EntryPoint("acme", f"{__name__}:of_acme", foreign_circuits.GROUP),
        EntryPoint("braket", "anyjob_qiskit.circuits.foreign_circuits:of_braket", foreign_circuits.GROUP),
    ]
    monkeypatch.setattr(foreign_circuits, "entry_points", lambda group: found)
    foreign_circuits._converters.cache_clear()
    yield
    foreign_circuits._converters.cache_clear()


def of_acme(circuit: Foreign) -> Any:
    return circuit.broken() if not circuit.text else circuit.text


@pytest.mark.usefixtures("acme")
def test_circuits_of_other_libraries_are_taken_by_a_function_that_is_registered(labs: Session) -> None:
    spec = Circuit([Foreign(), lab.bell()], shots=20)
    assert set(labs.get_backend("aer").run(spec).result(60)[0].counts) == {"00", "11"}
    broken = Foreign()
    broken.text = ""
    with pytest.raises(
        SpecError, match=r"this Foreign of acme cannot be written as OpenQASM: .* beam splitter"
    ):
        Circuit(broken)
    with pytest.raises(SpecError, match="or one of acme, or one of braket; 3 is of type int"):
        Circuit(3)  # type: ignore[arg-type]
    lost = Foreign()
    lost.__class__ = type("Circuit", (Foreign,), {"__module__": "braket.circuits"})
    with pytest.raises(
        SpecError, match="a circuit of braket is taken as Qiskit's: pip install qiskit-braket"
    ):
        Circuit(lost)
