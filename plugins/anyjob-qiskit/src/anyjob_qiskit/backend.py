"""The type ``qiskit``: any backend of Qiskit's, a ``BackendV2``, by configuration."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from anyjob import (
    BackendStatus,
    Capabilities,
    JobStatus,
    Observation,
    Order,
    Outcome,
    Rejected,
    SpecError,
    TaskBackend,
    Ticket,
    Unsure,
)
from anyjob.orders import Answer
from anyjob_qiskit.batches import Batch, Part, batched
from anyjob_qiskit.config import QiskitOptions, made
from anyjob_qiskit.provider_errors import is_refusal, is_unreachable, reaching
from anyjob_qiskit.spec import Circuit
from anyjob_qiskit.statuses import accepts_cancel, message_of, position_of, reason_of, status_of

AWAY = (2.0, 30.0)
"""Seconds between two questions to a service elsewhere, at least and at most: it is asked for each job."""
HERE = (0.05, 1.0)
"""The same for a backend in this process."""


class QiskitBackend(TaskBackend):
    """Type ``qiskit``: circuits, natively on a ``BackendV2``.

    Jobs that are handed over together go to the device together, up to ``batch`` circuits at a time; then
    one of them can be cancelled only together with the others.
    """

    Options = QiskitOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"circuit"})

    def __init__(
        self, configuration: Any, provider: Any = None, *, options: Any = None, device: Any = None
    ) -> None:
        super().__init__(configuration, provider, options=options)
        self._made = device
        self._lock = threading.Lock()
        self._jobs: dict[str, Any] = {}
        self._transpiler: Any = None
        self._limits: Any = None
        self.capabilities = Capabilities(durable=self.options.durable, walltime=False)
        floor, ceiling = AWAY if self.options.durable else HERE
        self.floor = self.options.interval or floor  # type: ignore[misc]
        self.ceiling = max(ceiling, self.floor)  # type: ignore[misc]

    @property
    def device(self) -> Any:
        """Qiskit's backend, made when it is first used.

        Raises:
            ConfigError: it cannot be made as it is configured, or a secret is missing.
            BackendUnavailableError: it cannot be reached.
            BackendAuthError: it refuses our credentials.
        """
        with self._lock:
            if self._made is None:
                with reaching(self.name()):
                    self._made = made(self.options, f"backend {self.name()!r}")
            return self._made

    def status(self) -> Any:
        """Return what the device says of itself now."""
        ask = getattr(self._made, "status", None)
        if not callable(ask):
            return BackendStatus(self.name(), self.version())
        with reaching(self.name()):
            said = ask()
        return BackendStatus(
            self.name(),
            self.version(),
            bool(getattr(said, "operational", True)),
            int(getattr(said, "pending_jobs", 0)),
            str(getattr(said, "status_msg", "")),
        )

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Check and transpile the circuits, and hand them to the device in as few jobs as may be.

        Raises:
            SpecError: a circuit is not fit to be run there; then none of the orders is taken.
            BackendUnavailableError: it cannot be reached.
        """
        from anyjob_qiskit.limits import limits
        from anyjob_qiskit.validation import checked

        device = self.device
        if self._limits is None:
            self._limits = limits(device, self.options.max_shots)
        bounds = self._limits
        parts = []
        for order in orders:
            spec = order.spec
            assert isinstance(spec, Circuit)
            circuits = checked(spec, qubits=bounds.qubits, shots=bounds.shots, where=self.name())
            if bounds.circuits is not None and len(circuits) > bounds.circuits:
                raise SpecError(
                    f"{len(circuits)} circuits are more than a job of {self.name()} takes, "
                    f"{bounds.circuits}: hand them over as several jobs, by run_many"
                )
            parts.append(Part(order, spec, circuits))
        most = min(self.options.batch, bounds.circuits or self.options.batch)
        for batch in batched(parts, most):
            yield from self._hand_over(device, batch)

    def _hand_over(self, device: Any, batch: Batch) -> Iterator[tuple[Order, Answer]]:
        from anyjob_qiskit.device_run import run
        from anyjob_qiskit.simulation import Transpiler

        if self._transpiler is None:
            self._transpiler = Transpiler(device)
        try:
            job = run(device, batch, self.options, self._transpiler)
        except SpecError:
            raise
        except Exception as error:
            if is_refusal(error) or (is_unreachable(error) and type(error).__name__ != "ReadTimeout"):
                with reaching(self.name()):
                    raise
            if is_unreachable(error):  # it may have the circuits, or not
                yield from ((part.order, Unsure()) for part in batch.parts)
            elif len(batch.parts) > 1:  # one of them may be to blame
                for part in batch.parts:
                    yield from self._hand_over(device, Batch([part]))
            else:
                yield batch.parts[0].order, Rejected(f"{type(error).__name__}: {error}")
            return
        native = str(job.job_id())
        self._jobs[native] = job
        for part, span in batch.spans():
            yield part.order, native if len(batch.parts) == 1 else f"{native}{span}"

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Ask each job of the device once, however many of ours it is."""
        seen = {}
        for native, some in _by_job(tickets).items():
            observation = self._look(native)
            if observation is not None:
                seen.update(dict.fromkeys((ticket.job_id for ticket in some), observation))
        return seen

    def _look(self, native: str) -> Observation | None:
        with reaching(self.name()):
            try:
                job = self._job(native)
                answer = job.status()
            except Exception as error:
                if _is_unknown(error):
                    return None
                raise
        status = status_of(answer, job)
        if status is JobStatus.ERROR:
            return Observation(status, reason_of(answer), message_of(job))
        queued = status is JobStatus.QUEUED
        return Observation(status, queue_position=position_of(job) if queued else None)

    def collect(self, tickets: Sequence[Ticket]) -> dict[str, Outcome]:
        """Fetch the results of those that have one."""
        found = {}
        for native, some in _by_job(tickets).items():
            for ticket in some:
                outcome = self._outcome(native, ticket)
                if outcome is not None:
                    found[ticket.job_id] = outcome
        return found

    def _outcome(self, native: str, ticket: Ticket) -> Outcome | None:
        from anyjob_qiskit.device_run import experiments
        from anyjob_qiskit.simulation import CircuitError

        with reaching(self.name()):
            try:
                job = self._job(native)
                if status_of(job.status(), job) is not JobStatus.DONE:
                    return None
                value = experiments(job.result(), _span(ticket.native_id))
            except CircuitError as error:
                return Outcome(status=JobStatus.ERROR, reason="exception", message=str(error))
            except Exception as error:
                if _is_unknown(error):
                    return None
                raise
        return Outcome(status=JobStatus.DONE, value=pickle.dumps(value))

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        """Ask the device to end jobs; of those that share one, all together or none."""
        answers = {}
        for native, some in _by_job(tickets).items():
            whole = _span(some[0].native_id) is None or {t.job_id for t in some} >= self._sharing(native)
            accepted = False
            if whole:
                with reaching(self.name()):
                    job = self._job(native)
                    final = status_of(job.status(), job) in (
                        JobStatus.DONE,
                        JobStatus.ERROR,
                        JobStatus.CANCELLED,
                    )
                    accepted = not final and accepts_cancel(job)
            answers.update(dict.fromkeys((ticket.job_id for ticket in some), accepted))
        return answers

    def _sharing(self, native: str) -> set[str]:
        """The ids of our jobs that are one job of the device, as far as they have not ended."""
        records = [record for record in self._tracker.records() if record.outcome is None]
        return {r.job_id for r in records if r.native_id and _job_of(r.native_id) == native}

    def _job(self, native: str) -> Any:
        """The device's job of this id, which another process may have submitted."""
        job = self._jobs.get(native)
        if job is None:
            from anyjob_qiskit.device_run import retrieved

            job = retrieved(self.device, native)
            self._jobs[native] = job
        return job


def _job_of(native: str) -> str:
    return native.partition("[")[0]


def _span(native: str) -> tuple[int, int] | None:
    """Which circuits of the device's job are this job's; None: all."""
    _, bracket, rest = native.partition("[")
    if not bracket:
        return None
    start, _, stop = rest.rstrip("]").partition(":")
    return int(start), int(stop)


def _by_job(tickets: Sequence[Ticket]) -> Mapping[str, list[Ticket]]:
    found: dict[str, list[Ticket]] = {}
    for ticket in tickets:
        found.setdefault(_job_of(ticket.native_id), []).append(ticket)
    return found


def _is_unknown(error: BaseException) -> bool:
    """Whether a device says that it does not know of a job."""
    return isinstance(error, LookupError) or any("NotFound" in each.__name__ for each in type(error).__mro__)
