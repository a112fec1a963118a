"""The type ``qiskit``: any backend of Qiskit's, a ``BackendV2``, by configuration."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from anyjob import (
    JOB_FINAL_STATES,
    BackendError,
    BackendStatus,
    Capabilities,
    InvalidStatusError,
    JobError,
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
from anyjob.sdk import Answer, in_each_process
from anyjob_qiskit.circuits.spec import Circuit
from anyjob_qiskit.config import JobOptions, QiskitOptions, instantiate
from anyjob_qiskit.devices.batches import Batch, BatchItem, batched
from anyjob_qiskit.devices.native_ids import by_device_job, span_of
from anyjob_qiskit.devices.native_ids import device_job_id as device_job_id_of
from anyjob_qiskit.devices.provider_errors import is_auth_error, is_unreachable, translating_errors
from anyjob_qiskit.devices.statuses import accepts_cancel, position_of, status_of

if TYPE_CHECKING:
    from anyjob_qiskit.devices.execution_mode import Mode

REMOTE_INTERVALS = (2.0, 30.0)
"""Seconds between two polls of a remote service, at least and at most: each job is a request of its own."""
LOCAL_INTERVALS = (0.05, 1.0)
"""The same for a backend in this process."""
MAX_FAILED_POLLS = 3
"""How often a device may raise in a row where it is asked about one job, which has failed then."""


class QiskitBackend(TaskBackend):
    """Type ``qiskit``: circuits, natively on a ``BackendV2``.

    Jobs that are handed over together go to the device together, up to ``batch`` circuits at a time; then
    one of them can be cancelled only together with the others.
    """

    Options = QiskitOptions
    JobOptions = JobOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"circuit"})

    def __init__(
        self, configuration: Any, provider: Any = None, *, options: Any = None, device: Any = None
    ) -> None:
        super().__init__(configuration, provider, options=options)
        self._given_device = device
        in_each_process(self._make_own)
        self._limits: Any = None
        self.capabilities = Capabilities(durable=self.options.durable, walltime=False)
        floor, ceiling = REMOTE_INTERVALS if self.options.durable else LOCAL_INTERVALS
        self.floor = self.options.interval or floor  # type: ignore[misc]
        self.ceiling = max(ceiling, self.floor)  # type: ignore[misc]

    def _make_own(self) -> None:
        self._lock = threading.Lock()
        self._device = self._given_device  # of one that is made here, a child makes its own connection
        self._jobs: dict[str, Any] = {}
        self._failed_polls: dict[str, int] = {}
        self._final_answers: dict[str, Any] = {}
        self._transpiler: Any = None
        self._mode: Any = None  # the session or batch that is open

    @property
    def device(self) -> Any:
        """Qiskit's backend, made when it is first used.

        Raises:
            ConfigError: it cannot be made as it is configured, or a secret is missing.
            BackendUnavailableError: it cannot be reached.
            BackendAuthError: it refuses our credentials.
        """
        with self._lock:
            if self._device is None:
                with translating_errors(self.name()):
                    self._device = instantiate(self.options, f"backend {self.name()!r}")
            return self._device

    @contextmanager
    def open_session(self, max_time: int | str | None = None) -> Iterator[None]:
        """Run what is submitted meanwhile in one ``Session`` of qiskit-ibm-runtime, by its sampler.

        That holds for this backend, whichever thread submits. In this process, as on fake devices, the
        jobs run as they would without.

        Args:
            max_time: after how many seconds IBM's service ends it at the latest; or a text, ``"1h 30m"``.

        Raises:
            BackendError: it cannot be opened, or another one is open.
            ConfigError: qiskit-ibm-runtime is not installed.
        """
        with self._in_mode("session", max_time):
            yield

    @contextmanager
    def open_batch(self, max_time: int | str | None = None) -> Iterator[None]:
        """As `open_session`, in one ``Batch``: its jobs do not wait for each other."""
        with self._in_mode("batch", max_time):
            yield

    @contextmanager
    def _in_mode(self, mode: Mode, max_time: int | str | None) -> Iterator[None]:
        from anyjob_qiskit.devices.execution_mode import open_mode

        device = self.device
        with self._lock:
            if self._mode is not None:
                raise BackendError(f"backend {self.name()!r} has a session or a batch open: leave that first")
            with translating_errors(self.name()):
                self._mode = opened = open_mode(device, mode, max_time)
        try:
            yield
        finally:
            with self._lock:
                self._mode = None
            with translating_errors(self.name()):
                opened.close()

    def status(self) -> Any:
        """Return what the device says of itself now."""
        device_status = getattr(self._device, "status", None)
        if not callable(device_status):
            return BackendStatus(self.name(), self.version())
        with translating_errors(self.name()):
            found = device_status()
        return BackendStatus(
            self.name(),
            self.version(),
            bool(getattr(found, "operational", True)),
            int(getattr(found, "pending_jobs", 0)),
            str(getattr(found, "status_msg", "")),
        )

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Check and transpile the circuits, and hand them to the device in as few jobs as may be.

        Raises:
            SpecError: a circuit is not fit to be run there; then none of the orders is taken.
            BackendUnavailableError: it cannot be reached.
        """
        from anyjob_qiskit.circuits.transpiling import Transpiler
        from anyjob_qiskit.circuits.validation import validated_circuits
        from anyjob_qiskit.devices.device_run import Preparation, check
        from anyjob_qiskit.devices.limits import limits

        device, mode = self.device, self._mode
        if self._limits is None:
            self._limits = limits(device, self.options.max_shots)
        limit = self._limits
        if self._transpiler is None:
            self._transpiler = Transpiler(device)
        prepare = {True: Preparation(self._transpiler), False: Preparation(None)}
        items = []
        for order in orders:
            spec = order.spec
            assert isinstance(spec, Circuit)
            if order.resources.walltime is not None:
                raise SpecError(
                    f"{self.name()} has no walltime for circuits: leave it out, and cancel the job"
                )
            circuits = validated_circuits(spec, qubits=limit.qubits, shots=limit.shots, where=self.name())
            check(device, spec, circuits, self.options, mode)
            if limit.circuits is not None and len(circuits) > limit.circuits:
                raise SpecError(
                    f"{len(circuits)} circuits are more than a job of {self.name()} takes, "
                    f"{limit.circuits}: hand them over as several jobs, by run_many"
                )
            level = self.options.level if spec.level is None else spec.level
            ready = [
                prepare[order.options.transpile](circuit, spec.parameters, level) for circuit in circuits
            ]
            items.append(BatchItem(order, spec, ready))
        max_circuits = min(self.options.batch, limit.circuits or self.options.batch)
        for batch in batched(items, max_circuits, self.options.seed):
            yield from self._submit_batch(device, batch, mode)

    def _submit_batch(self, device: Any, batch: Batch, mode: Any) -> Iterator[tuple[Order, Answer]]:
        from anyjob_qiskit.devices.device_run import run

        try:
            job = run(device, batch, self.options, batch.items[0].order.options, mode)
        except Exception as error:
            if is_auth_error(error) or (is_unreachable(error) and type(error).__name__ != "ReadTimeout"):
                with translating_errors(self.name()):
                    raise
            if is_unreachable(error):  # it may have the circuits, or not
                yield from ((item.order, Unsure()) for item in batch.items)
            elif len(batch.items) > 1:  # one of them may be to blame
                for item in batch.items:
                    yield from self._submit_batch(device, Batch([item]), mode)
            else:
                yield batch.items[0].order, Rejected(f"{type(error).__name__}: {error}")
            return
        device_job_id = str(job.job_id())
        self._jobs[device_job_id] = job
        for item, span in batch.spans():
            yield item.order, device_job_id if len(batch.items) == 1 else f"{device_job_id}{span}"

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Ask each job of the device once, however many of ours it is."""
        seen = {}
        for device_job_id, some in by_device_job(tickets).items():
            observation = self._observe_device_job(device_job_id)
            if observation is not None:
                seen.update(dict.fromkeys((ticket.job_id for ticket in some), observation))
        return seen

    def _observe_device_job(self, device_job_id: str) -> Observation | None:
        with translating_errors(self.name()):
            try:
                job = self._job(device_job_id)
            except _UnknownJob:
                return None
            try:
                answer = job.status()
            except Exception as error:
                if is_unreachable(error) or is_auth_error(error):
                    raise
                return None if _says_not_found(error) else self._failed_poll(device_job_id, error)
        self._failed_polls.pop(device_job_id, None)
        try:
            status = status_of(answer, job)
        except InvalidStatusError as error:
            return Observation(JobStatus.ERROR, "exception", str(error))
        if status in JOB_FINAL_STATES:
            self._final_answers[device_job_id] = answer
        queued = status is JobStatus.QUEUED
        return Observation(status, queue_position=position_of(job) if queued else None)

    def _failed_poll(self, device_job_id: str, error: Exception) -> Observation:
        """The device raises where it is asked about this job: one that goes on with that has failed."""
        failed = self._failed_polls[device_job_id] = self._failed_polls.get(device_job_id, 0) + 1
        status = JobStatus.ERROR if failed >= MAX_FAILED_POLLS else JobStatus.QUEUED
        message = f"the device does not tell its status: {type(error).__name__}: {error}"
        return Observation(status, "exception" if status is JobStatus.ERROR else None, message)

    def collect(self, tickets: Sequence[Ticket]) -> dict[str, Outcome]:
        """Fetch the results of those that have one, and the reasons of those that have failed."""
        found = {}
        for device_job_id, some in by_device_job(tickets).items():
            for ticket in some:
                outcome = self._outcome(device_job_id, ticket)
                if outcome is not None:
                    found[ticket.job_id] = outcome
        return found

    def _outcome(self, device_job_id: str, ticket: Ticket) -> Outcome | None:
        """What came of a job that was observed to have ended; None where nothing is known beside that."""
        from anyjob_qiskit.devices.device_outcome import device_outcome

        answer = self._final_answers.get(device_job_id)
        if answer is None or status_of(answer) is JobStatus.CANCELLED:
            return None
        spec: Any = None
        with suppress(JobError):  # of one that was attached to, it is not known
            spec = self.native_spec(ticket.job_id)
        with translating_errors(self.name()):
            return device_outcome(self._job(device_job_id), answer, spec, span_of(ticket.native_id))

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        """Ask the device to end jobs; of those that share one, all together or none."""
        answers = {}
        for device_job_id, some in by_device_job(tickets).items():
            ids = {ticket.job_id for ticket in some}
            accepted = False
            if span_of(some[0].native_id) is None or ids >= self._open_jobs_of(device_job_id):
                seen = self._observe_device_job(device_job_id)
                if seen is not None and seen.status not in JOB_FINAL_STATES:
                    with translating_errors(self.name()):
                        accepted = accepts_cancel(self._job(device_job_id))
            answers.update(dict.fromkeys(ids, accepted))
        return answers

    def _open_jobs_of(self, device_job_id: str) -> set[str]:
        """The ids of our jobs that share one job of the device, as far as they have not ended."""
        return {t.job_id for t in self.open_tickets() if device_job_id_of(t.native_id) == device_job_id}

    def _job(self, device_job_id: str) -> Any:
        """The device's job of this id, which another process may have submitted.

        Raises:
            _UnknownJob: the device does not know of it.
        """
        job = self._jobs.get(device_job_id)
        if job is None:
            from anyjob_qiskit.devices.device_run import retrieve_job

            try:
                job = retrieve_job(self.device, device_job_id)
            except Exception as error:
                if isinstance(error, LookupError) or _says_not_found(error):
                    raise _UnknownJob(device_job_id) from error
                raise
            self._jobs[device_job_id] = job
        return job


class _UnknownJob(Exception):
    """The device does not know of a job."""


def _says_not_found(error: BaseException) -> bool:
    """Whether a device says by an exception that it does not know of a job."""
    return any("NotFound" in each.__name__ for each in type(error).__mro__)
