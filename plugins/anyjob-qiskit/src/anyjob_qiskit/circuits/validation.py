"""Validates circuits, before anything is submitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from qiskit import QuantumCircuit

from anyjob import SpecError
from anyjob_qiskit.circuits.lazy_program import circuits_of
from anyjob_qiskit.circuits.spec import Circuit


def validated_circuits(
    spec: Circuit, *, qubits: int | None = None, shots: int | None = None, where: str = "the target"
) -> list[QuantumCircuit]:
    """Return the circuits of a spec, with parameters not bound yet, once they are known to be fit to be run.

    Args:
        spec: the circuits and what is asked of them.
        qubits: how many the target has; None where there is no limit.
        shots: how many it takes at most; None where there is no limit.
        where: what to call the target.

    Raises:
        SpecError: a program cannot be read, has no measurement, has more qubits than there are, or leaves
            a parameter without a value; or too many shots are asked for.
    """
    if shots is not None and spec.shots > shots:
        raise SpecError(f"{spec.shots:,} shots are more than {where} takes: {shots:,}")
    found = [(file, circuit) for file in spec.circuits for circuit in circuits_of(file)]
    for file in spec.circuits:
        if not circuits_of(file):
            raise SpecError(f"{file.path}: there is no circuit in it")
    if spec.parameters:
        names = {name for _, circuit in found for name in parameter_names(circuit)}
        for name in spec.parameters:
            if name not in names:
                raise SpecError(f"no circuit has a parameter {name!r}{_suggestion(name, names)}")
    for file, circuit in found:
        wrong = _wrong_with(circuit, spec.parameters, qubits, where)
        if wrong:
            raise SpecError(f"{file.path}: {wrong}")
    return [circuit for _, circuit in found]


def parameter_names(circuit: QuantumCircuit) -> list[str]:
    """Return the names of a circuit's parameters, a vector of them as one."""
    return list(dict.fromkeys(name_of(parameter) for parameter in circuit.parameters))


def name_of(parameter: Any) -> str:
    """Return the name of a parameter, or that of the vector which it is an element of."""
    vector = getattr(parameter, "vector", None)
    return str(parameter.name if vector is None else vector.name)


def _suggestion(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, names, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return "; there are: " + ", ".join(sorted(names)) if names else "; there are none at all"


def _wrong_with(
    circuit: QuantumCircuit, given: Mapping[str, float | list[float]], qubits: int | None, where: str
) -> str | None:
    if not measures(circuit):
        return (
            "the circuit measures nothing, so there would be nothing to count: "
            "add measurements (QuantumCircuit.measure_all)"
        )
    if qubits is not None and circuit.num_qubits > qubits:
        return f"the circuit has {circuit.num_qubits} qubits, and {where} has {qubits}"
    missing = [name for name in parameter_names(circuit) if name not in given]
    if missing:
        return (
            f"the circuit leaves {', '.join(map(repr, missing))} without a value: "
            f'give parameters={{"{missing[0]}": …}}, or -p {missing[0]}=… on the command line'
        )
    sizes = (_wrong_size(circuit, name, value) for name, value in given.items())
    return next(filter(None, sizes), None)


def _wrong_size(circuit: QuantumCircuit, name: str, value: float | list[float]) -> str | None:
    own = [parameter for parameter in circuit.parameters if name_of(parameter) == name]
    if not own:
        return None
    vector = getattr(own[0], "vector", None)
    if vector is None and isinstance(value, list):
        return f"{name!r} is a single parameter: give a number, not {len(value)} of them"
    if vector is not None and (not isinstance(value, list) or len(value) != len(vector)):
        found = f"{len(value)} values" if isinstance(value, list) else "one number"
        return f"{name!r} is a vector of {len(vector)} parameters, and is given {found}"
    return None


def measures(circuit: QuantumCircuit) -> bool:
    """Return whether a circuit measures anything, if only in a branch."""
    if "measure" in circuit.count_ops():
        return True
    for instruction in circuit.data:
        operation = instruction.operation
        if any(map(measures, getattr(operation, "blocks", ()))):
            return True
        inner = getattr(operation, "definition", None) if operation.num_clbits else None
        if inner is not None and measures(inner):
            return True
    return False
