"""Jobs and backends whose engine does what a test tells it to."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from anyjob.backend import BackendConfiguration, BaseBackend, Capabilities
from anyjob.execution import spawning
from anyjob.execution.runner import dumps, perform, pickled
from anyjob.job import BaseJob, JobStatus
from anyjob.orders import Answer, Observation, Order, Rejected, Ticket
from anyjob.specs import Call, Command, Outcome, Spec
from anyjob.taskbackend import TaskBackend, to_outcome

PATIENCE = 20.0
"""Seconds after which a test that waits for something gives up."""


class ScriptedJob(BaseJob):
    """A plain job whose ``status()`` gives what it is told, one after the other; the last one stays.

    An exception among them is raised.
    """

    def __init__(self, *answers: Any, backend: Any = None, job_id: str = "7") -> None:
        super().__init__(backend, job_id)
        self.answers = list(answers)
        self.asked = 0

    def submit(self) -> None:
        return None

    def result(self) -> str:
        return "the result"

    def cancel(self) -> bool:
        self.answers = [JobStatus.CANCELLED]
        return True

    def status(self) -> Any:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer


class ScriptedBackend(BaseBackend):
    """A plain backend: ``run`` takes the answers of the job."""

    def run(self, *answers: Any) -> ScriptedJob:
        return ScriptedJob(*answers, backend=self)


class Clock:
    """A time of its own, and an event that is never set: time passes while somebody waits for it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float | None] = []

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def set(self) -> None:
        pass

    def clear(self) -> None:
        pass

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        self.now += timeout or 0.0
        return False


class EngineBackend(TaskBackend):
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
            assert self.changed.wait_for(lambda: len(self.questions) >= wanted, PATIENCE)

    def say(self, native_id: str, status: JobStatus, **more: Any) -> None:
        """Have the engine say this of a job from now on."""
        with self.changed:
            self.seen[native_id] = Observation(status, **more)


class CommandsOnly(TaskBackend):
    """Runs programs as an engine with a common file system does: all that comes back is in the spool."""

    accepts: ClassVar[frozenset[str]] = frozenset({"command"})
    capabilities: Capabilities = Capabilities(shared_files=True, logs=True)
    floor: ClassVar[float] = 0.005
    ceiling: ClassVar[float] = 0.02

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.home = Path()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def at(cls, home: Path) -> Self:
        """Make one whose spools are here."""
        backend = cls(BackendConfiguration("commands"))
        backend.home = home
        return backend

    def _spool(self, job_id: str, spec: Spec) -> Path:
        return self.home / job_id

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order in orders:
            assert isinstance(order.spec, Command)
            assert order.spool is not None
            order.spool.mkdir()
            with open(order.spool / "stdout", "wb") as out, open(order.spool / "stderr", "wb") as err:
                try:
                    process = spawning.start(order.spec, order.environment, out, err, order.spool)
                except OSError as error:
                    yield order, Rejected(str(error))
                    continue
            self._processes[order.job_id] = process
            yield order, str(process.pid)

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        return {ticket.job_id: self._look(ticket.job_id) for ticket in tickets}

    def _look(self, job_id: str) -> Observation:
        code = self._processes[job_id].poll()
        if code is None:
            return Observation(JobStatus.RUNNING)
        if code == 0:
            return Observation(JobStatus.DONE)
        return Observation(JobStatus.ERROR, "exit-code", f"exit code {code}")

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        for ticket in tickets:
            self._processes[ticket.job_id].kill()
        return {ticket.job_id: True for ticket in tickets}

    def close(self) -> None:
        super().close()
        for process in self._processes.values():
            process.kill()
            process.wait()


class CallsOnly(TaskBackend):
    """Runs calls, as an engine does that knows nothing of programs and sees none of our files."""

    accepts: ClassVar[frozenset[str]] = frozenset({"python"})
    capabilities: Capabilities = Capabilities()
    floor: ClassVar[float] = 0.005

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self._outcomes: dict[str, Outcome] = {}

    def launch(self, orders: Sequence[Order]) -> Iterable[tuple[Order, Answer]]:
        import pickle

        for order in orders:
            call = order.spec
            assert isinstance(call, Call)
            blob = dumps((call.fn, call.args, call.kwargs))
            self._outcomes[order.job_id] = to_outcome(pickled(perform(lambda blob=blob: pickle.loads(blob))))  # type: ignore[misc]
            yield order, f"native-{order.job_id}"

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        return {ticket.job_id: Observation(self._outcomes[ticket.job_id].status) for ticket in tickets}

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        return {}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        return {ticket.job_id: self._outcomes[ticket.job_id] for ticket in tickets}


def await_file(path: Path) -> str:
    """Wait until there is a file with something in it, and return that."""
    return str(until(lambda: path.exists() and path.read_text()))


def until(look: Callable[[], Any]) -> Any:
    """Wait until this gives something true, and return it: for what no event tells of."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "what the test waits for does not happen"
        time.sleep(0.002)
    return found


def await_gone(*pids: int) -> None:
    """Wait until these processes have ended."""
    import psutil

    processes = []
    for pid in pids:
        try:
            processes.append(psutil.Process(pid))
        except psutil.NoSuchProcess:
            continue
    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes))
