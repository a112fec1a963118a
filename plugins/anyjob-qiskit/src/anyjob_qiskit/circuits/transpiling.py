"""Transpiles circuits for simulators and devices. Needs Qiskit only."""

from __future__ import annotations

import copy
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


def takes_any_width(device: Any, target: Any) -> bool:
    """Return whether a backend of Qiskit's is one of Aer's, with a target that is of no device.

    It lists as many qubits as a state vector in its memory has; other methods simulate more.
    """
    is_aer = any(each.__module__.startswith("qiskit_aer") for each in type(device).__mro__)
    return is_aer and target.build_coupling_map() is None


class Transpiler:
    """Transpiles circuits for one device, the same way each time.

    To build a pass manager takes longer than to run it, so it is kept; so is the target, which Aer makes
    anew each time that it is asked for.

    Args:
        device: a backend of Qiskit's.
        target: that of the device, where it is known.
    """

    def __init__(self, device: Any, target: Any = None) -> None:
        target = getattr(device, "target", None) if target is None else target  # BackendV1 has none
        self._device, self._target = device, target
        self._widens = takes_any_width(device, target)
        self._names: frozenset[str] = frozenset(target.operation_names if self._widens else ())
        self._default_level = SIMULATOR_LEVEL if is_simulator(device) else DEVICE_LEVEL
        self._pass_managers: dict[tuple[int, int | None], Any] = {}
        self._lock = threading.Lock()

    def __call__(self, circuit: QuantumCircuit, level: int | None) -> QuantumCircuit:
        """Return a circuit transpiled to the target of the device; one that is laid out already stays so.

        Args:
            circuit: stays as it is.
            level: Qiskit's ``optimization_level``; None: as fits the device.
        """
        if level is None and self._is_ready(circuit):
            return circuit
        level = self._default_level if level is None else level
        laid_out, wider = circuit.layout is not None, self._is_wider(circuit)
        key = level, circuit.num_qubits if laid_out or wider else None
        with self._lock:  # a pass manager has state while it runs
            pass_manager = self._pass_managers.get(key)
            if pass_manager is None:
                pass_manager = self._pass_managers[key] = generate_preset_pass_manager(
                    optimization_level=level,
                    backend=_widened(self._device, circuit.num_qubits) if wider else self._device,
                    seed_transpiler=0,
                    initial_layout=list(range(circuit.num_qubits)) if laid_out else None,
                )
            return pass_manager.run(circuit)

    def _is_wider(self, circuit: QuantumCircuit) -> bool:
        return self._widens and circuit.num_qubits > self._target.num_qubits

    def _is_ready(self, circuit: QuantumCircuit) -> bool:
        """Whether a circuit is of operations that the target has, where it has them."""
        if self._target is None:
            return False
        if self._widens and operations(circuit) <= self._names:
            return True
        fits = circuit.layout is not None or circuit.num_qubits == self._target.num_qubits
        return fits and _is_native(circuit, self._target, range(circuit.num_qubits))


def _widened(device: Any, qubits: int) -> Any:
    """One of Aer's simulators with more qubits than it lists."""
    found = copy.deepcopy(device)
    found.set_options(n_qubits=qubits)
    return found


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
