"""Observables as text, ``0.5*ZZ - 1.5*XI``: weighted sums of Pauli strings. Imports no Qiskit."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from anyjob import SpecError

_TERM = re.compile(
    r"\s*([+-]?)\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*\*?\s*)?([IXYZ]+)\s*"
)


def parse(text: str) -> dict[str, float]:
    """Return the weights of an observable by its Pauli strings, in whose labels the last is qubit 0.

    Raises:
        SpecError: it is none; says at which place.
    """
    found: dict[str, float] = {}
    place = 0
    while place < len(text):
        term = _TERM.match(text, place)
        if term is None or (place and not term[1]):
            raise SpecError(
                f"{text!r} is no observable, as of {text[place : place + 20]!r}: it is a weighted sum of "
                "Pauli strings, such as '0.5*ZZ - 1.5*XI'"
            )
        sign, weight, label = term.groups()
        found[label] = found.get(label, 0.0) + float(sign + (weight or "1"))
        place = term.end()
    return _checked(found, text)


def as_texts(given: Any) -> tuple[str, ...]:
    """Return one observable, or several, as texts.

    Args:
        given: a text, a mapping of Pauli strings to weights, Qiskit's ``Pauli`` or ``SparsePauliOp``, or
            several of these.

    Raises:
        SpecError: one is no observable.
    """
    one = _terms(given)
    if one is None and not isinstance(given, Iterable):
        raise SpecError(f"an observable is a text such as '0.5*ZZ - 1.5*XI', not {given!r}")
    several = [one] if one is not None else [_required(each) for each in given]
    if not several:
        raise SpecError("Estimate needs at least one observable")
    return tuple(map(_written, several))


def _required(given: Any) -> dict[str, float]:
    found = _terms(given)
    if found is None:
        raise SpecError(
            "an observable is a text such as '0.5*ZZ - 1.5*XI', a mapping of Pauli strings to numbers, or "
            f"Qiskit's Pauli or SparsePauliOp; {given!r} is of type {type(given).__name__}"
        )
    return found


def _terms(given: Any) -> dict[str, float] | None:
    if isinstance(given, str):
        return parse(given)
    if isinstance(given, Mapping):
        return _checked({_label(key): _real(value) for key, value in given.items()}, given)
    qiskit: Any = sys.modules.get("qiskit.quantum_info")  # whoever has one of Qiskit's has imported that
    if not hasattr(qiskit, "SparsePauliOp") or not hasattr(qiskit, "Pauli"):  # or another thread imports it
        return None
    if isinstance(given, qiskit.Pauli):
        given = qiskit.SparsePauliOp(given)
    if not isinstance(given, qiskit.SparsePauliOp):
        return None
    found: dict[str, float] = {}
    for label, weight in given.to_list():
        found[label] = found.get(label, 0.0) + _real(weight)
    return _checked(found, given)


def _label(key: Any) -> str:
    if not isinstance(key, str) or not re.fullmatch("[IXYZ]+", key):
        raise SpecError(f"a Pauli string is made of I, X, Y and Z, such as 'ZZI', not {key!r}")
    return key


def _real(value: Any) -> float:
    try:
        number = complex(value)
    except (TypeError, ValueError):
        raise SpecError(f"the weight of a Pauli string is a real number, not {value!r}") from None
    if number.imag:
        raise SpecError(f"the weight of a Pauli string is a real number, and {value!r} is not: no observable")
    return number.real


def _checked(terms: dict[str, float], given: Any) -> dict[str, float]:
    if not terms:
        raise SpecError(f"{given!r} is an observable without a Pauli string")
    if len(set(map(len, terms))) > 1:
        raise SpecError(f"the Pauli strings of {given!r} are of different lengths: each has all qubits")
    if not all(map(math.isfinite, terms.values())):
        raise SpecError(f"the weights of {given!r} are not all finite")
    return terms


def _written(terms: Mapping[str, float]) -> str:
    text = ""
    for label, weight in terms.items():
        sign = "-" if math.copysign(1, weight) < 0 else "+" if text else ""
        number = "" if abs(weight) == 1 else f"{abs(weight)!r}*"
        text += f" {sign} {number}{label}" if text else f"{sign}{number}{label}"
    return text
