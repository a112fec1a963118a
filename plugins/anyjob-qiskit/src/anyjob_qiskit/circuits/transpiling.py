"""Transpiles circuits for simulators and devices. Needs Qiskit only."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit.controlflow import CONTROL_FLOW_OP_NAMES
from qiskit.transpiler import generate_preset_pass_manager

DEVICE_LEVEL = 1
"""Qiskit's ``optimization_level`` on a device, where nobody says."""
SIMULATOR_LEVEL = 0
"""The same on a simulator: higher ones take away the gates whose noise was to be simulated."""
_SIMULATOR_PACKAGES = ("qiskit_aer", "mqt.ddsim", "qiskit_qulacs")
_SIMULATOR_NAMES = ("simulator", "fake", "aer", "local")
_EVERYWHERE = frozenset({"barrier", "store"})
"""What no target lists, and each takes."""


def is_simulator(device: Any) -> bool:
    """Return whether a backend of Qiskit's simulates, as far as its class and its name say so."""
    if any(each.__module__.startswith(_SIMULATOR_PACKAGES) for each in type(device).__mro__):
        return True
    name = getattr(device, "name", "")
    words = f"{name() if callable(name) else name} {type(device).__name__}".lower()
    return any(each in words for each in _SIMULATOR_NAMES)


class Transpiler:
    """Transpiles circuits for one device, the same way each time.

    To build a pass manager takes longer than to run it, so it is kept.

    Args:
        device: a backend of Qiskit's.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self._default_level = SIMULATOR_LEVEL if is_simulator(device) else DEVICE_LEVEL
        self._pass_managers: dict[tuple[int, int | None], Any] = {}
        self._lock = threading.Lock()

    def __call__(self, circuit: QuantumCircuit, level: int | None) -> QuantumCircuit:
        """Return a circuit transpiled to the target of the device; one that is laid out already stays so.

        Args:
            circuit: stays as it is.
            level: Qiskit's ``optimization_level``; None: as fits the device.
        """
        target = getattr(self._device, "target", None)  # BackendV1 has none
        wide = circuit.num_qubits == getattr(target, "num_qubits", None)
        laid_out = circuit.layout is not None
        keeps = target is not None and level is None and (wide or laid_out)
        if keeps and _is_native(circuit, target, range(circuit.num_qubits)):
            return circuit
        level = self._default_level if level is None else level
        key = level, circuit.num_qubits if laid_out else None
        with self._lock:  # a pass manager has state while it runs
            pass_manager = self._pass_managers.get(key)
            if pass_manager is None:
                pass_manager = self._pass_managers[key] = generate_preset_pass_manager(
                    optimization_level=level,
                    backend=self._device,
                    seed_transpiler=0,
                    initial_layout=list(range(circuit.num_qubits)) if laid_out else None,
                )
            return pass_manager.run(circuit)


def operations(circuit: QuantumCircuit) -> set[str]:
    """Return the names of the operations of a circuit, those in branches and loops among them."""
    found = set(circuit.count_ops())
    if not found.isdisjoint(CONTROL_FLOW_OP_NAMES):
        for instruction in circuit.data:
            if instruction.is_control_flow():
                found |= set().union(*map(operations, instruction.operation.blocks))
    return found - _EVERYWHERE


def _is_native(circuit: QuantumCircuit, target: Any, qubits: Sequence[int]) -> bool:
    """Whether a target has each operation, on the very qubits that it is on."""
    for instruction in circuit.data:
        places = tuple(qubits[circuit.find_bit(qubit).index] for qubit in instruction.qubits)
        if instruction.is_control_flow():
            if instruction.name not in target.operation_names or not all(
                _is_native(block, target, places) for block in instruction.operation.blocks
            ):
                return False
        elif instruction.name not in _EVERYWHERE and not target.instruction_supported(
            instruction.name, places
        ):
            return False
    return True
