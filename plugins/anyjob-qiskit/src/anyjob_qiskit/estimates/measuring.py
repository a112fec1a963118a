"""Estimates values of observables: which circuits measure them, and what follows from counts."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.quantum_info import PauliList

from anyjob import File, SpecError
from anyjob_qiskit.circuits.lazy_program import LazyProgram, circuits_of
from anyjob_qiskit.estimates.observables import parse
from anyjob_qiskit.results.circuit_result import CircuitResult

REGISTER = "observed"
"""The register of the bits that are measured for observables; it comes last."""


class Group(NamedTuple):
    """Pauli strings that one circuit measures, since none differs from another on a qubit that both act on.

    Args:
        labels: the strings.
        basis: the letter that each qubit is measured by; I: it is not measured.
    """

    labels: tuple[str, ...]
    basis: str

    @property
    def qubits(self) -> list[int]:
        """The qubits that are measured: one at least, so that there is a result."""
        return [qubit for qubit, letter in enumerate(reversed(self.basis)) if letter != "I"] or [0]


@functools.lru_cache(maxsize=64)
def groups(observables: tuple[str, ...]) -> tuple[Group, ...]:
    """Return the Pauli strings of observables, each once, in as few groups as may be found easily."""
    labels = list(dict.fromkeys(label for text in observables for label in parse(text)))
    found = PauliList(labels).group_commuting(qubit_wise=True)
    return tuple(_group(tuple(str(label) for label in some.to_labels())) for some in found)


def _group(labels: tuple[str, ...]) -> Group:
    columns = zip(*labels, strict=True)
    return Group(labels, "".join(max(column, key=lambda letter: letter != "I") for column in columns))


@functools.lru_cache(maxsize=64)
def measuring_circuits(
    file: File | LazyProgram, observables: tuple[str, ...]
) -> tuple[File | LazyProgram, ...]:
    """Return a circuit for each group of Pauli strings; those of a sweep are made once.

    Raises:
        SpecError: the circuit cannot be read, or does not fit the observables.
    """
    found = circuits_of(file)
    if len(found) != 1:
        raise SpecError(f"{file.path}: an estimate is of one circuit, and there are {len(found)}")
    circuit = found[0]
    for text in observables:
        size = len(next(iter(parse(text))))
        if size != circuit.num_qubits:
            raise SpecError(
                f"{circuit.name}: the circuit has {circuit.num_qubits} qubits, and the observable {text!r} "
                f"is of {size}"
            )
    circuit = circuit.remove_final_measurements(inplace=False)
    return tuple(LazyProgram(_measured(circuit, group)) for group in groups(observables))


def _measured(circuit: QuantumCircuit, group: Group) -> QuantumCircuit:
    found = circuit.copy(circuit.name)
    names = {register.name for register in (*circuit.cregs, *circuit.qregs)}
    name = next(each for each in (REGISTER + "_" * number for number in range(99)) if each not in names)
    bits = ClassicalRegister(len(group.qubits), name)
    found.add_register(bits)
    for bit, qubit in zip(bits, group.qubits, strict=True):
        letter = group.basis[-1 - qubit]
        if letter == "Y":
            found.sdg(qubit)
        if letter in "XY":
            found.h(qubit)
        found.measure(qubit, bit)
    return found


def estimated(observables: tuple[str, ...], result: CircuitResult) -> tuple[list[float], list[float]]:
    """Return the value of each observable, and its standard error.

    Strings of one group are measured by the same shots, so the error is that of their weighted sum; groups
    do not depend on each other.
    """
    values, errors = [], []
    for text in observables:
        terms = parse(text)
        parts = [
            _moments(terms, group, each.counts)
            for group, each in zip(groups(observables), result, strict=True)
        ]
        values.append(math.fsum(mean for mean, _ in parts))
        errors.append(math.sqrt(math.fsum(variance for _, variance in parts)))
    return values, errors


def _moments(terms: Mapping[str, float], group: Group, counts: Mapping[str, int]) -> tuple[float, float]:
    """Return the mean of the weighted sum of a group's strings, and the variance of that mean."""
    weighted = [(terms[label], _places(label, group.qubits)) for label in group.labels if label in terms]
    total = sum(counts.values())
    seen = [(number, _value(bits.replace(" ", ""), weighted)) for bits, number in counts.items()]
    mean = math.fsum(number * value for number, value in seen) / total
    variance = math.fsum(number * (value - mean) ** 2 for number, value in seen) / total
    return mean, variance / total


def _places(label: str, qubits: Sequence[int]) -> list[int]:
    """Where in a text of all bits those are found that a string acts on: its register is the first."""
    return [len(qubits) - 1 - place for place, qubit in enumerate(qubits) if label[-1 - qubit] != "I"]


def _value(bits: str, weighted: Sequence[tuple[float, Sequence[int]]]) -> float:
    return math.fsum(_signed(bits, weighted))


def _signed(bits: str, weighted: Sequence[tuple[float, Sequence[int]]]) -> Iterator[float]:
    for weight, places in weighted:
        ones = sum(bits[place] == "1" for place in places)
        yield -weight if ones % 2 else weight
