"""Circuits of other libraries, by functions that write them as OpenQASM, or as Qiskit's. Imports no Qiskit.

A function is registered under the name of the library's package, in the entry-point group `GROUP`; so other
distributions bring their own.
"""

from __future__ import annotations

import functools
from importlib.metadata import entry_points
from typing import Any

from anyjob import File, SpecError

GROUP = "anyjob_qiskit.circuits"
"""The name is that of a package, such as ``cirq``; the value a function of one circuit."""


def converted(given: Any) -> Any:
    """Return a circuit of another library as OpenQASM, also in a `File`, or as Qiskit's; None: unknown type.

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
        raise SpecError(
            f"this {type(given).__name__} of {package} cannot be written as OpenQASM: {error}"
        ) from error


def known_packages() -> list[str]:
    """Return the names of the packages whose circuits are taken."""
    return sorted(_converters())


@functools.cache
def _converters() -> dict[str, Any]:
    return {each.name: each for each in entry_points(group=GROUP)}


def of_cirq(circuit: Any) -> str:
    """A circuit of cirq, whose qubits are in their order."""
    import cirq

    if cirq.is_parameterized(circuit):
        names = ", ".join(sorted(cirq.parameter_names(circuit)))
        raise ValueError(f"it leaves {names} open: give values by cirq.resolve_parameters")
    text: str = circuit.to_qasm()
    return text


def of_pytket(circuit: Any) -> Any:
    """A circuit of pytket, by its extension for Qiskit where that is installed, which keeps symbols, too."""
    try:
        from pytket.extensions.qiskit import tk_to_qiskit
    except ImportError:
        return _pytket_as_openqasm(circuit)
    return tk_to_qiskit(circuit, replace_implicit_swaps=True)


def _pytket_as_openqasm(circuit: Any) -> File:
    from pytket.qasm import circuit_to_qasm_str

    more = "pip install pytket-qiskit, which keeps more than OpenQASM 2 has"
    if circuit.free_symbols():
        names = ", ".join(sorted(map(str, circuit.free_symbols())))
        raise ValueError(f"it leaves {names} open: {more}")
    try:
        text = circuit_to_qasm_str(circuit)
    except Exception as error:
        raise ValueError(f"{error}: {more}") from error
    return File(f"{circuit.name or 'circuit'}.qasm", text.encode())


def of_braket(circuit: Any) -> Any:
    """A circuit of Amazon Braket's SDK, by the provider for it; one that measures nothing measures all."""
    try:
        from qiskit_braket_provider import to_qiskit
    except ImportError as error:
        raise ImportError("pip install qiskit-braket-provider") from error
    return to_qiskit(circuit)
