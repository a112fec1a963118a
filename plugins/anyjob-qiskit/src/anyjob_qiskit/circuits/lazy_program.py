"""A circuit of Qiskit's in the place of a file, which is written when it is read. Imports no Qiskit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from anyjob import File

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


@dataclass(init=False, repr=False, eq=False)
class LazyProgram:
    """A circuit as it was when a `Circuit` was made of it; for all that look into it a `File`.

    To write it as OpenQASM or QPY may take a tenth of the time that a small circuit runs. So that is
    done when its path or its content is asked for: by the ledger, or on the way to another process.

    Args:
        circuit: taken as it is now.

    Attributes:
        circuit: not to be changed.
        left_by: no other job leaves it.
        sha256: it is not kept by its hash.
        path: what the file is called.
        content: OpenQASM 3 where that carries the circuit whole, else QPY.
    """

    path: str
    content: bytes
    left_by: ClassVar[None] = None
    sha256: ClassVar[str] = ""

    def __init__(self, circuit: QuantumCircuit) -> None:
        self.circuit = circuit.copy(circuit.name or "circuit")

    def __getattr__(self, name: str) -> Any:  # of what is not there yet
        if name not in ("path", "content"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        from anyjob_qiskit.circuits.formats import write

        file = write(self.circuit)
        self.path, self.content = file.path, file.content or b""
        return getattr(self, name)

    def taken(self) -> LazyProgram:
        """Return this: its content is that of the time when it was made."""
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (File, LazyProgram)):
            return self.path == other.path and self.content == other.content
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.path, self.content))

    def __reduce__(self) -> Any:
        return File, (self.path, self.content)

    def __repr__(self) -> str:
        return f"LazyProgram({self.circuit.name!r})"


def circuits_of(file: File | LazyProgram) -> list[QuantumCircuit]:
    """Return the circuits of a file: they are read from it, if they were ever written. Do not change them.

    Raises:
        SpecError: it cannot be read: see `anyjob_qiskit.circuits.formats.read`.
    """
    if isinstance(file, LazyProgram):
        return [file.circuit]
    from anyjob_qiskit.circuits.formats import read

    return read(file)
