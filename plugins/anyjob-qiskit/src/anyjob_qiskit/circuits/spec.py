"""The spec of the kind ``circuit``: programs, and how often to run them. Imports no Qiskit."""

from __future__ import annotations

import itertools
import math
import operator
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args

import msgspec
from msgspec.structs import force_setattr

from anyjob import File, Spec, SpecError
from anyjob_qiskit.circuits.lazy_program import LazyProgram

if TYPE_CHECKING:
    from anyjob_qiskit.results.circuit_result import CircuitResult  # noqa: F401 (in the base of Circuit, as text)

Method = Literal[
    "automatic",
    "statevector",
    "density_matrix",
    "stabilizer",
    "matrix_product_state",
    "extended_stabilizer",
]
"""Ways to simulate a circuit that gives counts, in Aer's words."""
METHODS = get_args(Method)
_PROGRAM = re.compile(r"\ufeff?(?:\s|//[^\n]*\n|/\*.*?\*/)*OPENQASM\s+[\d.]+\s*;", re.DOTALL)


class Circuit(Spec["CircuitResult"], frozen=True, tag="circuit"):
    """One or many quantum circuits, to be run a number of times.

    Args:
        circuits: files of OpenQASM 2, OpenQASM 3 or QPY; a program may give Qiskit's circuits, and the
            text of programs, too.
        shots: how often each circuit is run.
        seed: makes a simulation repeatable; a device that has none refuses it.
        parameters: values for the parameters of the circuits, by name; for a vector of parameters all its
            values.
        per_shot: keep what each shot gave, in order, beside the counts.
        level: how hard the transpiler tries to make the circuits short, 0 to 3; by default the backend says.
        method: how a simulator goes about it: automatic, statevector, density_matrix, stabilizer,
            matrix_product_state or extended_stabilizer; a device ignores it.

    Raises:
        SpecError: it could not be run anywhere.
    """

    circuits: tuple[File, ...]
    shots: int = 1024
    seed: int | None = None
    parameters: dict[str, float | list[float]] = {}
    per_shot: bool = False
    level: int | None = None
    method: str | None = None

    def __post_init__(self) -> None:
        given: Any = self.circuits
        several = given if isinstance(given, (list, tuple)) else (given,)
        found = tuple(map(_file, several))
        if not found:
            raise SpecError("Circuit needs at least one circuit")
        force_setattr(self, "circuits", found)
        super().__post_init__()
        for name in ("shots", "seed", "level"):  # numpy's integers among them
            force_setattr(self, name, _whole(getattr(self, name)))
        if not _is_whole(self.shots) or self.shots < 1:
            raise SpecError(f"shots is how often each circuit is run: 1 or more, not {self.shots!r}")
        if self.seed is not None and (not _is_whole(self.seed) or not 0 <= self.seed < 2**63):
            raise SpecError(f"seed is an integer of 0 or more, not {self.seed!r}")
        if self.level is not None and (not _is_whole(self.level) or not 0 <= self.level <= 3):
            raise SpecError(f"level is 0, 1, 2 or 3, not {self.level!r}")
        if self.method is not None and self.method not in METHODS:
            raise SpecError(f"method is one of {', '.join(METHODS)}, not {self.method!r}")
        force_setattr(self, "parameters", _numbers(self.parameters))


def _whole(value: Any) -> Any:
    """Return an integer of another type as Python's, and all else as it is."""
    is_other = not isinstance(value, (int, float)) and hasattr(value, "__index__")
    return operator.index(value) if is_other else value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _file(given: Any) -> Any:
    if isinstance(given, (File, LazyProgram)):
        return given
    if isinstance(given, str) and _PROGRAM.match(given):
        return File("circuit.qasm", given.removeprefix("\ufeff").encode())
    if isinstance(given, (str, bytes, os.PathLike)):
        return File(os.fsdecode(given))
    # Whoever has one of Qiskit's circuits has imported Qiskit, and not another thread just now.
    qiskit = sys.modules.get("qiskit")
    if isinstance(given, getattr(qiskit, "QuantumCircuit", ())):
        return LazyProgram(given)
    from anyjob_qiskit.circuits.foreign_circuits import converted, known_packages

    found = converted(given)
    if found is not None:
        return _file(found)
    others = "".join(f", or one of {each}" for each in known_packages())
    raise SpecError(
        "a circuit is a QuantumCircuit of Qiskit, a file, or the text of an OpenQASM program"
        f"{others}; {given!r} is of type {type(given).__name__}"
    )


def _numbers(parameters: Any) -> dict[str, float | list[float]]:
    if not isinstance(parameters, Mapping):
        raise SpecError(f'parameters are a mapping such as {{"theta": 0.5}}, not {parameters!r}')
    found: dict[str, float | list[float]] = {}
    for key, value in parameters.items():
        name = key if isinstance(key, str) else getattr(key, "name", key)  # Qiskit's Parameter has a name
        if not isinstance(name, str):
            raise SpecError(f"the name of a parameter is text, not {name!r}")
        try:
            if isinstance(value, (str, bytes)):
                raise TypeError
            found[name] = [float(each) for each in value] if isinstance(value, Iterable) else float(value)
        except (TypeError, ValueError):
            raise SpecError(f"the parameter {name!r} is {value!r}, which is no number") from None
        every = found[name]
        if not all(map(math.isfinite, every if isinstance(every, list) else [every])):
            raise SpecError(f"the parameter {name!r} is {value!r}, and an angle is finite")
    return found


class HasParameters(Protocol):
    """A spec whose field ``parameters`` a sweep varies: a `Circuit`, an `Estimate`."""

    @property
    def parameters(self) -> dict[str, float | list[float]]:
        """Values of parameters by name."""


Swept = TypeVar("Swept", bound=HasParameters)


def sweep(
    circuit: Swept, values: Mapping[str, Iterable[Any]] | None = None, **axes: Iterable[Any]
) -> list[Swept]:
    """Return one spec for each combination of values of parameters, the last axis fastest.

    They share the program, so a sweep of 1,000 bindings is written, read and checked once::

        jobs = backend.run_many(sweep(Circuit("ansatz.qasm", shots=4000), theta=numpy.linspace(0, 3, 1000)))

    Args:
        circuit: what to run, a `Circuit` or an `Estimate`; its own parameters stay as they are.
        values: the values of each parameter, by its name.
        axes: more of that.

    Raises:
        SpecError: a value is no number, or there is nothing to combine.
    """
    every = {**(values or {}), **axes}
    if not every:
        raise SpecError("a sweep needs values for at least one parameter: sweep(circuit, theta=[0.1, 0.2])")
    return [_with(circuit, each) for each in _combinations(every)]


def _combinations(axes: Mapping[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    for each in itertools.product(*axes.values()):
        yield dict(zip(axes, each, strict=True))


def _with(circuit: Any, parameters: Mapping[str, Any]) -> Any:
    return msgspec.structs.replace(circuit, parameters={**circuit.parameters, **parameters})
