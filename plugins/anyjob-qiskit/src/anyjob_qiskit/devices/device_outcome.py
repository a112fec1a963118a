"""What came of a job of a device that has ended: its result, or why there is none."""

from __future__ import annotations

import pickle
from typing import Any

from anyjob import JobStatus, Outcome
from anyjob_qiskit.circuits.lazy_program import circuits_of
from anyjob_qiskit.circuits.spec import Circuit
from anyjob_qiskit.devices.device_times import USAGE, device_times
from anyjob_qiskit.devices.provider_errors import is_auth_error, is_unreachable
from anyjob_qiskit.devices.statuses import message_of, reason_of, status_of
from anyjob_qiskit.results.reading import CircuitError, classical_bits, experiment_data


def device_outcome(job: Any, answer: Any, spec: Circuit | None, span: tuple[int, int] | None) -> Outcome:
    """Return what came of a job of ours.

    Args:
        job: the device's job, which has ended.
        answer: how it told that.
        spec: what was asked of the circuits; None: all is known from the result alone.
        span: which of the job's circuits are meant; None: all.

    Raises:
        Exception: what the device raises when it cannot be reached, or does not take our credentials.
    """
    status = status_of(answer)
    message = ""
    if status is JobStatus.DONE or span is not None:  # others of it may have failed
        try:
            return _done(job, spec, span)
        except Exception as error:  # whatever a device, or reading what it gave, makes of it
            if is_unreachable(error) or is_auth_error(error):
                raise
            message = str(error) if isinstance(error, CircuitError) else f"{type(error).__name__}: {error}"
    if status is JobStatus.ERROR:
        message = message_of(job) or message
    return Outcome(status=JobStatus.ERROR, reason=reason_of(answer), message=message)


def _done(job: Any, spec: Circuit | None, span: tuple[int, int] | None) -> Outcome:
    """Read a result; of the usage of a job that is shared, it has its part."""
    result = job.result()
    if spec is None:
        experiments = experiment_data(result, span=span)
    else:
        bits = [classical_bits(circuit) for file in spec.circuits for circuit in circuits_of(file)]
        experiments = experiment_data(result, bits, span=span, per_shot=spec.per_shot)
    times = device_times(job, result)
    every = getattr(result, "results", result)
    used = None if times.usage is None else times.usage * len(experiments) / len(every)
    return Outcome(
        status=JobStatus.DONE,
        value=pickle.dumps(experiments),
        started=times.started,
        finished=times.finished,
        cost=used,
        currency="" if used is None else USAGE,
    )
