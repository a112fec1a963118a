"""Backends that do run their work: one programs alone, one calls alone."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from anyjob.backend import BackendConfiguration, Capabilities
from anyjob.execution import spawning
from anyjob.job import JobStatus
from anyjob.orders import Answer, Observation, Order, Rejected, Ticket
from anyjob.outcome import Outcome
from anyjob.specs import Call, Command
from anyjob.spool.reports import outcome_from_report
from anyjob.standalone.runner import dumps, perform, pickled
from anyjob.taskbackend import TaskBackend
from anyjob.tracking.records import JobRecord


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

    def _spool(self, record: JobRecord) -> Path:
        return self.home / record.job_id

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order in orders:
            assert isinstance(order.spec, Command)
            assert order.spool is not None
            order.spool.mkdir()
            with open(order.spool / "stdout", "wb") as out, open(order.spool / "stderr", "wb") as err:
                try:
                    process = spawning.start(order.spec, order.environment, out, err, order.spool).process
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
            report = pickled(perform(functools.partial(pickle.loads, blob)))
            self._outcomes[order.job_id] = outcome_from_report(report)
            yield order, f"native-{order.job_id}"

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        return {ticket.job_id: Observation(self._outcomes[ticket.job_id].status) for ticket in tickets}

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        return {}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        return {ticket.job_id: self._outcomes[ticket.job_id] for ticket in tickets}
