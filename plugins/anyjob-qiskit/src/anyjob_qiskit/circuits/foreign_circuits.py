"""Circuits of other libraries, by functions that write them as OpenQASM, or as Qiskit's. Imports no Qiskit.

A function is registered under the name of the library's package, in the entry-point group `GROUP`; so other
distributions bring their own.
"""

from __future__ import annotations

import functools
from importlib.metadata import entry_points
from typing import Any

from anyjob import SpecError

GROUP = "anyjob_qiskit.circuits"
"""The name is that of a package, such as ``cirq``; the value a function of one circuit."""


def converted(given: Any) -> Any:
    """Return a circuit of another library as OpenQASM, or as one of Qiskit's; None for an unknown type.

    Raises:
        SpecError: it cannot be expressed so.
    """
    package = type(given).__module__.partition(".")[0]
    convert = _converters().get(package)
    if convert is None:
        return None
    try:
        return convert.load()(given)
    except ImportError as error:
        raise SpecError(f"a circuit of {package} is taken as Qiskit's: {error}") from error
    except Exception as error:  # whatever the library says of what OpenQASM has not
        raise SpecError(f"this circuit of {package} cannot be written as OpenQASM: {error}") from error


def known_packages() -> list[str]:
    """Return the names of the packages whose circuits are taken."""
    return sorted(_converters())


@functools.cache
def _converters() -> dict[str, Any]:
    return {each.name: each for each in entry_points(group=GROUP)}


def of_cirq(circuit: Any) -> str:
    """A circuit of cirq, whose qubits are in their order."""
    text: str = circuit.to_qasm()
    return text


def of_pytket(circuit: Any) -> str:
    """A circuit of pytket."""
    from pytket.qasm import circuit_to_qasm_str

    text: str = circuit_to_qasm_str(circuit)
    return text


def of_braket(circuit: Any) -> Any:
    """A circuit of Amazon Braket's SDK, by the provider for it; one that measures nothing measures all."""
    try:
        from qiskit_braket_provider import to_qiskit
    except ImportError as error:
        raise ImportError("pip install qiskit-braket-provider") from error
    return to_qiskit(circuit)
