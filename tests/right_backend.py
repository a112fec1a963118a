"""The simplest backend that keeps all promises: what the conformance kit is tried on.

Wrong backends derive from it, and break one promise each.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import right_engine

from anyjob.backend import Capabilities
from anyjob.errors import BackendUnavailableError
from anyjob.execution import spawning
from anyjob.orders import Answer, Observation, Options, Order, Rejected, Ticket, Unsure
from anyjob.outcome import Outcome
from anyjob.specs import Command
from anyjob.status import JOB_FINAL_STATES, JobStatus
from anyjob.taskbackend import TaskBackend


class RightOptions(Options, frozen=True):
    """Where the engine is."""

    directory: Annotated[Path, msgspec.Meta(description="the directory that the engine lives in")]
    slots: Annotated[int, msgspec.Meta(ge=1, description="how many jobs run at a time")] = 4


class RightBackend(TaskBackend):
    """Runs programs by an engine that lives in a directory, and outlives its clients."""

    Options = RightOptions
    accepts = frozenset({"command"})
    capabilities = Capabilities(durable=True, shared_files=True, find=True, logs=True)
    floor = 0.02
    ceiling = 0.2
    grace = float(os.environ.get("RIGHT_GRACE", "0.3"))
    relaunches = True  # an engine that is told of a job twice knows it by its name
    program: ClassVar[tuple[str, ...]] = (right_engine.__file__,)
    """The engine, and what it is told."""

    @property
    def engine(self) -> RightEngine:
        """What the engine is and what can befall it."""
        return RightEngine(self.options.directory)

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Start an engine for these, and tell it of one after the other."""
        self.engine.check()
        with _started(self.program, self.options) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for order in orders:
                if self.engine.rejects():
                    yield order, Rejected("the queue is closed")
                    continue
                process.stdin.write(pickle.dumps(self.engine_order(order)))
                process.stdin.flush()
                if not process.stdout.readline():
                    raise BackendUnavailableError("the engine has died")
                yield order, Unsure() if self.engine.loses_answer() else native_id_of(order.job_id)

    def engine_order(self, order: Order) -> dict[str, Any]:
        """Return an order as the engine takes it."""
        spec, spool = order.spec, order.spool
        assert isinstance(spec, Command)
        assert spool is not None
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        spawning.write_files(spec, spool)
        if spec.stdin is not None:
            (spool / "stdin").write_bytes(spec.stdin.taken().content or b"")
        variables = {**os.environ, **order.environment, **spec.env, "ANYJOB_SPOOL": str(spool)}
        return {
            "native_id": native_id_of(order.job_id),
            "argv": [os.fsencode(argument) for argument in spec.argv],
            "environment": {os.fsencode(name): os.fsencode(value) for name, value in variables.items()},
            "cwd": os.getcwd() if spec.cwd is None else spec.cwd,
            "stdin": os.devnull if spec.stdin is None else str(spool / "stdin"),
            "spool": str(spool),
            "walltime": order.resources.walltime,
        }

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Read the entries; what has none is left out."""
        self.engine.check()
        states = {ticket.job_id: self.engine.state(ticket.native_id) for ticket in tickets}
        return {
            job_id: Observation(JobStatus[state["status"]], state.get("reason"), state.get("message", ""))
            for job_id, state in states.items()
            if state is not None
        }

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Take what our runner has left of a call, else what the engine says of the program."""
        left = super().collect(tickets)
        found = {}
        for ticket in tickets:
            by_engine = self.outcome(ticket)
            ended_by_us = by_engine is not None and (
                by_engine.status is JobStatus.CANCELLED or by_engine.reason == "walltime"
            )
            outcome = by_engine if ended_by_us else left.get(ticket.job_id, by_engine)
            if outcome is not None:
                found[ticket.job_id] = outcome
        return found

    def outcome(self, ticket: Ticket) -> Outcome | None:
        """Take what the engine says came of a job."""
        state = self.engine.state(ticket.native_id)
        if state is None or JobStatus[state["status"]] not in JOB_FINAL_STATES:
            return None
        return Outcome(**{**state, "status": JobStatus[state["status"]]})

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Take from the queue what has not started; have the engine end the rest."""
        self.engine.check()
        return {ticket.job_id: self.engine.cancel(ticket.native_id) for ticket in tickets}

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """A native id is made of ours."""
        self.engine.check()
        native = {job_id: native_id_of(job_id) for job_id in job_ids}
        return {job_id: its for job_id, its in native.items() if self.engine.state(its) is not None}

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """What is not there does not come any more: it was told by a process that has died."""
        return self.find(job_ids)


def native_id_of(job_id: str) -> str:
    return f"right-{job_id}"


@contextmanager
def _started(program: Sequence[str], options: RightOptions) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program that serves the orders of one launch."""
    (options.directory / "jobs").mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-I", program[0], str(options.directory), str(options.slots), *program[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
    )
    with process, suppress(BrokenPipeError):  # at whose end its stdin is closed
        yield process


class RightEngine:
    """An engine, and its faults. Marks in its directory make them known to all processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody reaches the engine inside; it works on."""
        (self.directory / "down").touch()
        try:
            yield
        finally:
            (self.directory / "down").unlink()

    def forget(self, native_id: str) -> None:
        """Remove a job from what the engine knows, as one does that keeps no history."""
        entry = self.entry(native_id)
        gone = entry.with_suffix(".gone")
        entry.rename(gone)

    def reject_next(self) -> None:
        """Do not take the next order."""
        (self.directory / "reject").touch()

    def lose_next_answer(self) -> None:
        """Take the next order, and have its client never hear of that."""
        (self.directory / "answer-lost").touch()

    def stop(self) -> None:
        """End all that runs: for the end of a test."""
        (self.directory / "stop").touch()

    def check(self) -> None:
        """Whether the engine can be reached."""
        if (self.directory / "down").exists():
            raise BackendUnavailableError("the engine is down")

    def rejects(self) -> bool:
        """Whether this order is not taken."""
        return self._happens("reject")

    def loses_answer(self) -> bool:
        """Whether the client does not hear that this order was taken."""
        return self._happens("answer-lost")

    def _happens(self, fault: str) -> bool:
        try:
            (self.directory / fault).unlink()
        except FileNotFoundError:
            return False
        return True

    def entry(self, native_id: str) -> Path:
        return self.directory / "jobs" / native_id

    def state(self, native_id: str) -> dict[str, Any] | None:
        return right_engine.read_state(str(self.entry(native_id)))

    def cancel(self, native_id: str) -> bool:
        """Ask for the end of a job; whether it had not ended."""
        entry = str(self.entry(native_id))
        state = right_engine.read_state(entry)
        if state is None or JobStatus[state["status"]] in JOB_FINAL_STATES:
            return False
        if right_engine.claim(entry):
            right_engine.write_state(entry, status="CANCELLED")
        else:
            Path(entry, "cancel").touch()
        return True
