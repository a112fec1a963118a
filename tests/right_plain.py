"""A backend in the manner of Qiskit's original provider interface that keeps all promises.

Wrong ones derive from it and from its job, and break one promise each.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, ClassVar

from anyjob import BaseBackend, BaseJob, JobNotFoundError, JobStatus
from anyjob.testing import Samples


class Circuit:
    """Work of a kind of its own: takes some seconds, and gives an answer or fails."""

    def __init__(self, seconds: float = 0.0, answer: Any = None) -> None:
        self.seconds = seconds
        self.answer = answer


class RightJob(BaseJob):
    """Runs a circuit on a thread; its id is set when it is submitted."""

    def __init__(self, backend: Any, circuit: Circuit) -> None:
        super().__init__(backend, "")
        self.circuit = circuit
        self.said = JobStatus.INITIALIZING
        self.guard = threading.Lock()
        self.cancel_asked = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def submit(self) -> None:
        self._job_id = self._backend.enter(self)
        self.said = JobStatus.QUEUED
        self.thread.start()

    def work(self) -> None:
        self.said = JobStatus.RUNNING
        if self.cancel_asked.wait(self.circuit.seconds):
            self.said = JobStatus.CANCELLED
        else:
            self.said = JobStatus.ERROR if self.circuit.answer is None else JobStatus.DONE

    def status(self) -> Any:
        return self.said

    def result(self) -> Any:
        self.wait_for_final_state(wait=0.01)
        if self.status() is not JobStatus.DONE:
            raise RuntimeError(f"the circuit has not run: {self.said.name}")
        return self.circuit.answer

    def cancel(self) -> Any:
        if self.in_final_state():
            return False
        self.cancel_asked.set()
        return True


class SilentJob(RightJob):
    """One whose ``cancel()`` says nothing, as the original's documentation allowed."""

    def cancel(self) -> None:
        super().cancel()


class RightPlainBackend(BaseBackend):
    """Knows its jobs by numbers."""

    job_class: ClassVar[type[RightJob]] = RightJob

    def __init__(self, configuration: Any, provider: Any = None) -> None:
        super().__init__(configuration, provider)
        self.known: dict[str, RightJob] = {}

    def enter(self, job: RightJob) -> str:
        job_id = f"circuit-{len(self.known)}"
        self.known[job_id] = job
        return job_id

    def run(self, circuit: Circuit) -> RightJob:
        job = self.job_class(self, circuit)
        job.submit()
        return job

    def retrieve_job(self, job_id: str) -> RightJob:
        if job_id not in self.known:
            raise JobNotFoundError(f"backend {self.name()!r} has no job {job_id!r}")
        return self.known[job_id]


def plain_samples() -> Sequence[Samples]:
    """Circuits that succeed, fail, and are slow."""
    return [
        Samples(
            kind="circuit",
            succeeds=Circuit(answer={"00": 512}),
            value={"00": 512},
            fails=Circuit(),
            slow=lambda seconds: Circuit(seconds, {"00": 1}),
        )
    ]
