"""Jobs and backends for the tests of waiting: plain ones that say what they are told to, and an engine."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyjob import BackendConfiguration, BaseBackend, BaseJob, JobNotFoundError, JobStatus, TaskBackend
from anyjob.backend import Capabilities
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.specs import Outcome


class PlainJob(BaseJob):
    """Answers ``status()`` with one answer after the other, and then with the last; raises exceptions."""

    def __init__(self, backend: Any = None, job_id: str = "1", answers: Sequence[object] = ()) -> None:
        super().__init__(backend, job_id)
        self.answers = deque(answers or [JobStatus.RUNNING])
        self.asked = 0
        self.askers: set[int] = set()

    def end(self, status: JobStatus = JobStatus.DONE) -> None:
        self.answers = deque([status])

    def submit(self) -> None:
        pass

    def result(self) -> Any:
        return f"result of {self._job_id}"

    def cancel(self) -> bool:
        self.end(JobStatus.CANCELLED)
        return True

    def status(self) -> Any:
        self.asked += 1
        self.askers.add(threading.get_ident())
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


class PlainBackend(BaseBackend):
    """Its jobs say what ``answers`` says."""

    def __init__(self, configuration: Any = None, provider: Any = None) -> None:
        super().__init__(configuration or BackendConfiguration("plain"), provider)
        self.known: dict[str, PlainJob] = {}

    def run(self, work: Any = None, answers: Sequence[object] = ()) -> PlainJob:
        job = PlainJob(self, f"p{len(self.known)}", answers)
        self.known[job.job_id()] = job
        return job

    def retrieve_job(self, job_id: str) -> PlainJob:
        if job_id not in self.known:
            raise JobNotFoundError(f"no job {job_id!r}")
        return self.known[job_id]


class Engine(TaskBackend):
    """A task backend that has to be asked: its jobs are in ``status`` until it is told otherwise."""

    accepts = frozenset({"python", "command"})
    capabilities = Capabilities(shared_files=True)
    floor = 0.01
    ceiling = 0.05

    def __init__(self, configuration: Any = None, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration or BackendConfiguration("engine"), provider, options=options)
        self.status_of_all = JobStatus.RUNNING
        self.trouble: deque[BaseException] = deque()
        self.questions: list[tuple[int, int]] = []
        self.asked = threading.Event()

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order in orders:
            yield order, order.job_id

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        self.questions.append((threading.get_ident(), len(tickets)))
        self.asked.set()
        if self.trouble:
            raise self.trouble.popleft()
        return {ticket.job_id: Observation(self.status_of_all) for ticket in tickets}

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        return {ticket.job_id: False for ticket in tickets}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        return {}


def make(kind: type[TaskBackend], **options: Any) -> Any:
    """Make a backend directly, with no session."""
    return kind.from_options(kind.__name__.lower(), options)
