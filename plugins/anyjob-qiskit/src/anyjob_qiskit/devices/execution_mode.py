"""Sessions and batches of qiskit-ibm-runtime: jobs that a device runs in a row, or side by side."""

from __future__ import annotations

from typing import Any, Literal

from anyjob import BackendError, ConfigError

Mode = Literal["session", "batch"]


def open_mode(device: Any, mode: Mode, max_time: int | str | None) -> Any:
    """Open a ``Session`` or a ``Batch`` of qiskit-ibm-runtime on a device.

    Args:
        device: one of IBM's service, or in this process, where it is but a name.
        mode: which of them.
        max_time: after how many seconds it ends at the latest; or a text such as ``"1h 30m"``.

    Raises:
        ConfigError: qiskit-ibm-runtime is not installed.
        BackendError: it cannot be opened so, in the words of qiskit-ibm-runtime.
    """
    try:
        import qiskit_ibm_runtime as runtime
    except ImportError as error:
        raise ConfigError(
            f"a {mode} is one of qiskit-ibm-runtime: pip install 'anyjob-qiskit[ibm]'"
        ) from error
    from anyjob_qiskit.devices.provider_errors import is_auth_error, is_unreachable

    opened = runtime.Session if mode == "session" else runtime.Batch
    try:
        return opened(backend=device, max_time=max_time)
    except Exception as error:
        refused = is_auth_error(error) and type(error).__name__ != "IBMInputValueError"
        if refused or is_unreachable(error):
            raise
        raise BackendError(f"no {mode} can be opened: {error}") from error
