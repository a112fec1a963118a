"""What a device takes at most, wherever it says so."""

from __future__ import annotations

from typing import Any, NamedTuple


class Limits(NamedTuple):
    """The most qubits, shots and circuits of a job; None where there is no limit."""

    qubits: int | None
    shots: int | None
    circuits: int | None


def limits(device: Any, max_shots: int | None = None) -> Limits:
    """Return the limits of a ``BackendV2``.

    Args:
        device: the backend of Qiskit's.
        max_shots: how many shots it takes, where the configuration says so.
    """
    circuits = getattr(device, "max_circuits", None)
    return Limits(
        _number(_qubits(device)),
        _number(max_shots) or _shots(device),
        _number(circuits() if callable(circuits) else circuits),
    )


def _qubits(device: Any) -> Any:
    from anyjob_qiskit.circuits.transpiling import takes_any_width

    try:
        return None if takes_any_width(device, device.target) else device.num_qubits
    except Exception:  # of one without a target, or that is none of today's
        return None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _shots(device: Any) -> int | None:
    """Some say it by the validator of their options, some in an old-style configuration."""
    options = getattr(device, "options", None)
    bounds = (getattr(options, "validator", None) or {}).get("shots")
    if isinstance(bounds, tuple) and len(bounds) == 2:
        return _number(bounds[1])
    configuration = getattr(device, "configuration", None)
    try:
        found = configuration() if callable(configuration) else configuration
    except Exception:  # of those that have one in name only
        found = None
    if found is None:
        found = getattr(device, "_conf_dict", {})  # the fakes of qiskit-ibm-runtime
    return _number(found.get("max_shots") if isinstance(found, dict) else getattr(found, "max_shots", None))
