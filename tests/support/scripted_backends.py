"""Jobs and backends that answer as a test has them: plain ones, and task backends over a scripted engine."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from anyjob.backend import BackendConfiguration, BaseBackend, Capabilities
from anyjob.errors import JobNotFoundError
from anyjob.job import BaseJob, JobStatus
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.outcome import Outcome
from anyjob.taskbackend import TaskBackend
from support.waiting import TIMEOUT


class ScriptedJob(BaseJob):
    """A plain job whose ``status()`` gives these answers, one after the other; the last one stays.

    An exception among them is raised, a function is called. Without any, the job runs.
    """

    def __init__(self, *answers: Any, backend: Any = None, job_id: str = "7") -> None:
        super().__init__(backend, job_id)
        self.answers = deque(answers or [JobStatus.RUNNING])
        self.asked = 0
        self.askers: set[int] = set()

    def end(self, status: JobStatus = JobStatus.DONE) -> None:
        self.answers = deque([status])

    def submit(self) -> None:
        return None

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
        return answer() if callable(answer) else answer


class ScriptedBackend(BaseBackend):
    """A plain backend: ``run`` takes the answers of the job."""

    def run(self, *answers: Any) -> ScriptedJob:
        return ScriptedJob(*answers, backend=self)


class FindingBackend(BaseBackend):
    """A plain backend that finds its jobs again: ``run`` takes some work, and the answers of the job."""

    def __init__(self, configuration: Any = None, provider: Any = None) -> None:
        super().__init__(configuration or BackendConfiguration("plain"), provider)
        self.known: dict[str, ScriptedJob] = {}

    def run(self, work: Any = None, answers: Sequence[object] = ()) -> ScriptedJob:
        job = ScriptedJob(*answers, backend=self, job_id=f"p{len(self.known)}")
        self.known[job.job_id()] = job
        return job

    def retrieve_job(self, job_id: str) -> ScriptedJob:
        if job_id not in self.known:
            raise JobNotFoundError(f"no job {job_id!r}")
        return self.known[job_id]


class ScriptedEngine(TaskBackend):
    """A task backend over an engine that is scripted: what it says is in ``seen``, by native id.

    A native id is ``n0``, ``n1``… in the order of launches. What is in ``faults`` is raised by the
    next questions, one each.
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"python"})
    capabilities: Capabilities = Capabilities(find=True)
    floor: ClassVar[float] = 0.005
    ceiling: ClassVar[float] = 0.05
    grace: ClassVar[float] = 0.0

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.answers: list[Answer | Exception] = []
        self.seen: dict[str, Observation] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.known: dict[str, str] = {}
        self.faults: list[Exception] = []
        self.accept_cancel = True
        self.questions: list[list[str]] = []
        self.sought: list[list[str]] = []
        self.collected: list[list[str]] = []
        self.terminated: list[list[str]] = []
        self.launched: list[Order] = []
        self.changed = threading.Condition()

    @classmethod
    def make(cls, name: str = "engine", **attributes: Any) -> Self:
        """Make one, with these attributes of the class changed."""
        made: Self = type(cls.__name__, (cls,), attributes)(BackendConfiguration(name))
        return made

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order in orders:
            answer = self.answers.pop(0) if self.answers else f"n{len(self.launched)}"
            if isinstance(answer, Exception):
                raise answer
            self.launched.append(order)
            yield order, answer

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        with self.changed:
            self.questions.append([ticket.job_id for ticket in tickets])
            self.changed.notify_all()
            if self.faults:
                raise self.faults.pop(0)
            return {t.job_id: self.seen[t.native_id] for t in tickets if t.native_id in self.seen}

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        self.terminated.append([ticket.job_id for ticket in tickets])
        return {ticket.job_id: self.accept_cancel for ticket in tickets}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        self.collected.append([ticket.job_id for ticket in tickets])
        return {t.job_id: self.outcomes[t.native_id] for t in tickets if t.native_id in self.outcomes}

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        self.sought.append(list(job_ids))
        if self.faults:
            raise self.faults.pop(0)
        return {job_id: self.known[job_id] for job_id in job_ids if job_id in self.known}

    def await_questions(self, count: int) -> None:
        """Wait until the engine has been asked this many times more."""
        with self.changed:
            wanted = len(self.questions) + count
            assert self.changed.wait_for(lambda: len(self.questions) >= wanted, TIMEOUT)

    def say(self, native_id: str, status: JobStatus, **more: Any) -> None:
        """Have the engine say this of a job from now on."""
        with self.changed:
            self.seen[native_id] = Observation(status, **more)


class UniformEngine(TaskBackend):
    """A task backend that has to be asked: all its jobs are in one status, until that is changed for all."""

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
