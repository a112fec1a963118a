"""Writes plain circuits as OpenQASM 3, without rounding; Qiskit's own writer takes longer than a run."""

from __future__ import annotations

import math
import re
from typing import Any

import qiskit
from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, Measure, Parameter, ParameterExpression, Reset
from qiskit.circuit.parametervector import ParameterVectorElement  # in qiskit.circuit only since 2.0

_GATES = """
x y z h s sdg t tdg sx p rx ry rz cx cy cz ch cp crx cry crz swap ccx cswap
"""
GATES = {**{name: name for name in _GATES.split()}, "u": "U"}
"""Gates of Qiskit's by their names in OpenQASM 3, of those that come back as they went."""
_RESERVED = """
OPENQASM include defcalgrammar def cal defcal gate extern box let break continue if else end return
for while in switch case default nop pragma input output const readonly mutable qreg qubit creg bool
bit int uint float angle complex array void duration stretch gphase inv pow ctrl negctrl dim
durationof delay reset measure barrier true false im pi tau euler arccos arcsin arctan ceiling cos
exp floor log mod popcount real imag rotl rotr sin sizeof sqrt tan U CX u1 u2 u3 cu id phase cphase
sxdg rxx ryy rzz
"""
RESERVED = frozenset({*_RESERVED.split(), *GATES})
"""Names that mean something in OpenQASM 3, so that no register or parameter can have them."""
CONDITIONS = qiskit.__version__.startswith("1.")
"""Whether a gate may have a condition (``c_if``): to ask for ``condition`` warns since 1.3."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class _NotExpressible(Exception):
    """There is something in the circuit that is not expressed here."""


def write_openqasm(circuit: QuantumCircuit) -> str | None:
    """Return a circuit as OpenQASM 3; None where that does not carry it whole, less its name."""
    sizes = sum(r.size for r in circuit.qregs), sum(r.size for r in circuit.cregs)
    if (
        sizes != (circuit.num_qubits, circuit.num_clbits)
        or circuit.metadata
        or circuit.num_vars
        or circuit.layout
    ):
        return None
    if isinstance(circuit.global_phase, ParameterExpression) or circuit.global_phase:
        return None
    names = [each.name for each in (*circuit.qregs, *circuit.cregs, *circuit.parameters)]
    if len(set(names)) < len(names) or any(each in RESERVED or not _NAME.fullmatch(each) for each in names):
        return None
    bits = {bit: f"{r.name}[{i}]" for r in (*circuit.qregs, *circuit.cregs) for i, bit in enumerate(r)}
    if len(bits) != circuit.num_qubits + circuit.num_clbits:  # registers that share bits
        return None
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";']
    lines += [f"input float[64] {parameter.name};" for parameter in circuit.parameters]
    lines += [f"qubit[{each.size}] {each.name};" for each in circuit.qregs]
    lines += [f"bit[{each.size}] {each.name};" for each in circuit.cregs]
    try:
        lines += [_statement(each, bits) for each in circuit.data]
    except _NotExpressible:
        return None
    return "\n".join(lines) + "\n"


def _statement(instruction: Any, bits: dict[Any, str]) -> str:
    if CONDITIONS and getattr(instruction.operation, "_condition", None) is not None:
        raise _NotExpressible
    qubits = ", ".join([bits[bit] for bit in instruction.qubits])
    if instruction.is_standard_gate():
        word = GATES.get(instruction.name)  # a gate whose control is open has another name
        if word is None:
            raise _NotExpressible
        values = instruction.params  # the operation itself is made only when it is asked for
        return f"{word}({', '.join(map(_value, values))}) {qubits};" if values else f"{word} {qubits};"
    if isinstance(instruction.operation, Measure):
        return f"{bits[instruction.clbits[0]]} = measure {qubits};"
    if isinstance(instruction.operation, (Reset, Barrier)):
        return f"{instruction.name} {qubits};"
    raise _NotExpressible


def _value(value: Any) -> str:
    if isinstance(value, ParameterExpression):
        if not isinstance(value, Parameter) or isinstance(value, ParameterVectorElement):
            raise _NotExpressible
        return str(value.name)
    number = float(value)
    if not math.isfinite(number):
        raise _NotExpressible
    return repr(number)
