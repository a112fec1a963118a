"""Deliberately wrong backends: each breaks one promise, in a way that real ones have been seen to."""

from __future__ import annotations

import errno
import os
import pickle
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from right_backend import RightBackend

from anyjob.backend import Capabilities
from anyjob.builtin.inline import InlineBackend
from anyjob.errors import BackendUnavailableError
from anyjob.job import JOB_FINAL_STATES
from anyjob.jobtypes import CommandJob
from anyjob.orders import Answer, Observation, Order, Rejected, Ticket, Unsure
from anyjob.outcome import Outcome
from anyjob.runtime.recording.ledger_recorder import LedgerRecorder
from anyjob.runtime.recording.recorder import Recorder
from anyjob.specs import Spec
from anyjob.spool.job_spool import path_of
from anyjob.standalone import runner
from anyjob.status import JobStatus
from anyjob.taskjob import TaskJob
from anyjob.tracking.records import JobRecord
from anyjob.tracking.tracker import Tracker


def capabilities_and(**others: bool) -> Capabilities:
    """Return what the right one can do, and what it cannot."""
    return Capabilities(durable=True, shared_files=True, find=True, logs=True, **others)


# --- text -----------------------------------------------------------------------------------------


class ThroughAShell(RightBackend):
    """Makes a line of the arguments, and has a shell read that."""

    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        return {**engine_order, "argv": [b"sh", b"-c", b" ".join(engine_order["argv"])]}


class DropsEmptyArguments(RightBackend):
    """Takes an empty argument for none."""

    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        return {**engine_order, "argv": list(filter(None, engine_order["argv"]))}


class IgnoresOutputFiles(RightBackend):
    """Says that it knows of files for output, which its engine does not."""

    capabilities = capabilities_and(output_files=True)


class StripsVariables(RightBackend):
    """Reads variables from lines."""

    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        variables = {name: value.strip() for name, value in engine_order["environment"].items()}
        return {**engine_order, "environment": variables}


class CutsArguments(RightBackend):
    """Has a column of the database that is too short."""

    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        return {**engine_order, "argv": [argument[:4096] for argument in engine_order["argv"]]}


class IgnoresDirectories(RightBackend):
    """Runs everything where it likes."""

    check_timeout = 5.0

    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        return {**engine_order, "cwd": engine_order["spool"]}


class IgnoresWhatCallsNeed(IgnoresDirectories):
    """Says that calls have directories of their own."""

    capabilities = capabilities_and(call_environment=True)


class CutsStdin(RightBackend):
    """Hands over what fits into a pipe."""

    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        if engine_order["stdin"] != os.devnull:
            with open(engine_order["stdin"], "r+b") as stream:
                stream.truncate(1 << 16)
        return engine_order


class StripsArguments(RightBackend):
    """Sends the arguments of a call by way of something that is made for text in lines."""

    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        path = Path(engine_order["spool"], "files", "payload.pkl")
        if path.exists():
            before, payload = pickle.loads(path.read_bytes())
            fn, args, named = pickle.loads(payload)
            named = {name: value.strip() for name, value in named.items()}
            path.write_bytes(pickle.dumps((before, runner.dumps((fn, args, named)))))
        return engine_order


class TextOnly(RightBackend):
    """Takes what programs write for text."""

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        return super().logs(ticket, stream, offset).decode().encode()


class NamesInScripts(RightBackend):
    """Writes a script for the job, with its name in it."""

    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        script = os.fsencode(f'JOB_NAME="{order.resources.name}"; exec "$@"')
        return {**engine_order, "argv": [b"sh", b"-c", script, b"sh", *engine_order["argv"]]}


# --- other processes ------------------------------------------------------------------------------


class KnowsItsOwn(RightBackend):
    """What this process has handed over is kept in its memory; the base of several."""

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.own: set[str] = set()

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        self.own.update(order.job_id for order in orders)
        return super().launch(orders)

    def ours(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        return [ticket for ticket in tickets if ticket.job_id in self.own]


class ObservesItsOwn(KnowsItsOwn):
    """Has an answer only in the process that has submitted."""

    check_timeout = 8.0
    grace = 60.0

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        return super().observe(self.ours(tickets))

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        return super().collect(self.ours(tickets))


class TellsLate(KnowsItsOwn):
    """Begins to ask its engine when it is asked, and answers from memory meanwhile."""

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.asked: set[str] = set()

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        new = {ticket.job_id for ticket in tickets} - self.asked
        self.asked |= new
        return {**super().observe(tickets), **{job_id: Observation(JobStatus.RUNNING) for job_id in new}}


class HandsOverLate(RightBackend):
    """Keeps orders in its memory until somebody asks about them."""

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.kept: list[Order] = []

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        self.kept += orders
        for order in orders:
            yield order, f"right-{order.job_id}"

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        kept, self.kept = self.kept, []
        list(super().launch(kept))
        return super().observe(tickets)


class CancelsItsOwn(KnowsItsOwn):
    """Ends only what this process has handed over."""

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        return super().terminate(self.ours(tickets))


class ShowsItsOwnLogs(KnowsItsOwn):
    """Reads only what jobs wrote that this process has handed over."""

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        return super().logs(ticket, stream, offset) if self.ours([ticket]) else b""


class LockedJob(CommandJob):
    """A handle that holds something which cannot be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle '_thread.lock' object")


class LockedHandles(RightBackend):
    """Makes handles of its own, which hold a lock."""

    def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob:
        return _locked(super().run(spec, **resources))

    def run_many(self, specs: Iterable[Spec], **resources: Any) -> list[TaskJob]:
        return list(map(_locked, super().run_many(specs, **resources)))


def _locked(job: TaskJob) -> TaskJob:
    job.__class__ = LockedJob
    return job


class DropsNames(RightBackend):
    """Does not hand on what jobs are called."""

    def run_many(self, specs: Iterable[Spec], **resources: Any) -> list[TaskJob]:
        return super().run_many(specs, **{**resources, "name": ""})


class LeavesRows(InlineBackend):
    """Writes jobs down which end with their process."""

    @property
    def recorder(self) -> Recorder:
        return LedgerRecorder(self.services.ledger, self)


# --- a client that dies ---------------------------------------------------------------------------


class TakesAbsentForDone(RightBackend):
    """What is not in the queue has ended, it thinks."""

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        ended = {ticket.job_id: Observation(JobStatus.DONE) for ticket in tickets}
        return {**ended, **super().observe(tickets)}

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        return {job_id: f"right-{job_id}" for job_id in job_ids}


class FindsNothing(RightBackend):
    """Says that it finds jobs, and does not."""

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        return {}


class SubmitsAgain(RightBackend):
    """Makes good what was not answered by submitting it once more."""

    again = ""

    def engine_order(self, order: Order) -> dict[str, Any]:
        engine_order = super().engine_order(order)
        Path(engine_order["spool"], "order").write_bytes(pickle.dumps(order))
        return {**engine_order, "native_id": engine_order["native_id"] + self.again}

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        found = super().find(job_ids)
        spools = [path_of(self.services.ledger.state / "spool", job_id) for job_id in found]
        orders = [pickle.loads((spool / "order").read_bytes()) for spool in spools]
        self.again = "-again"
        anew = [replace(order, spool=order.spool / "again") for order in orders]
        for _ in super().launch(anew):
            pass
        return {job_id: native_id + self.again for job_id, native_id in found.items()}


# --- faults of the engine -------------------------------------------------------------------------


class FailsWhenAway(RightBackend):
    """Takes jobs for lost whose engine cannot be reached."""

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        try:
            return super().observe(tickets)
        except BackendUnavailableError:
            return {ticket.job_id: Observation(JobStatus.ERROR, "lost", "no answer") for ticket in tickets}


class RaisesWhenAway(RightBackend):
    """Lets through what its client library raises."""

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        try:
            return super().observe(tickets)
        except BackendUnavailableError as error:
            raise RuntimeError("connection refused") from error


class KeepsForLater(RightBackend):
    """Makes jobs of work that it could not hand over."""

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        try:
            yield from super().launch(orders)
        except BackendUnavailableError:
            for order in orders:
                yield order, Unsure()


class AcceptsAnyCancel(RightBackend):
    """Says that a cancel was accepted which never left."""

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        try:
            return super().terminate(tickets)
        except BackendUnavailableError:
            return {ticket.job_id: True for ticket in tickets}


class TakesAbsentForLost(RightBackend):
    """Takes jobs for lost that one answer leaves out."""

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        lost = {ticket.job_id: Observation(JobStatus.ERROR, "lost", "not in the queue") for ticket in tickets}
        return {**lost, **super().observe(tickets)}


class AsksTheEngineAlone(RightBackend):
    """Does not look into the spool of what its engine does not know."""

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        return super().collect([ticket for ticket in tickets if self.engine.state(ticket.native_id)])


class TriesAgain(InlineBackend):
    """Submits once more what was not answered."""

    def run(self, spec: Any, *args: Any, **resources: Any) -> TaskJob:
        job = super().run(spec, **resources)
        outcome = job._record.outcome
        return super().run(spec, **resources) if outcome is not None and outcome.reason == "lost" else job


class TakesSilenceForANo(RightBackend):
    """Takes an answer that did not come for a rejection."""

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order, answer in super().launch(orders):
            yield order, Rejected("no answer") if isinstance(answer, Unsure) else answer


# --- many jobs ------------------------------------------------------------------------------------


class AsTheyCome(RightBackend):
    """Returns jobs in an order of its own."""

    def run_many(self, specs: Iterable[Spec], **resources: Any) -> list[TaskJob]:
        return super().run_many(specs, **resources)[::-1]


class OneByOne(RightBackend):
    """Hands over one job at a time."""

    def run_many(self, specs: Iterable[Spec], **resources: Any) -> list[TaskJob]:
        return [self.run(spec, **resources) for spec in specs]


class ShortLines(RightBackend):
    """Asks by the arguments of a program, as long as these are."""

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        if len(tickets) > 500:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        return super().observe(tickets)


class AsksOneByOne(RightBackend):
    """Connects to its engine for each of the jobs that it is asked about."""

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        for _ in tickets:
            with socket.socket() as connection:
                connection.connect_ex(("127.0.0.1", 9))
        return super().observe(tickets)


class NumbersJobs(RightBackend):
    """Takes the engine's number of a job for its id, and does not make it a text."""

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Any]]:
        for order, _ in super().launch(orders):
            yield order, 12


class WaitsForTheEnd(RightBackend):
    """Hands over work, and waits until it has ended."""

    floor = 5.0

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order, answer in super().launch(orders):
            assert isinstance(answer, str)
            ticket = Ticket(job_id=order.job_id, native_id=answer, submitted=0.0)
            while self.observe([ticket])[order.job_id].status not in JOB_FINAL_STATES:
                pass
            yield order, answer


class _EachTime(Tracker):
    def ask(self, record: JobRecord) -> JobStatus:
        self._query.ask([record])
        return record.status


class AsksEachTime(RightBackend):
    """Has a question of its own for each job, each time."""

    floor = 0.2

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self._tracker = _EachTime(self)


class Guesses(RightBackend):
    """Has an outcome for jobs of which nothing is known."""

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        guess = Outcome(status=JobStatus.ERROR, reason="lost", message="no outcome")
        return {**{ticket.job_id: guess for ticket in tickets}, **super().collect(tickets)}


class BelievesHints(RightBackend):
    """Takes a hint for an answer."""

    def notify(self, job_ids: Iterable[str]) -> None:
        for record in self._tracker.records():
            if record.job_id in job_ids:
                self._tracker.settle(record, Outcome(status=JobStatus.DONE))


class DeafToHints(RightBackend):
    """Does nothing about what the engine tells."""

    check_timeout = 5.0

    def notify(self, job_ids: Iterable[str]) -> None:
        pass
