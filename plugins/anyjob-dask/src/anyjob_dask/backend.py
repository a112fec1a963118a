"""The type ``dask``."""

from __future__ import annotations

import functools
import math
import os
import threading
import time
from collections import deque
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from anyjob.backend import BackendStatus, Capabilities
from anyjob.errors import BackendError, BackendUnavailableError, JobFailedError
from anyjob.execution import spool
from anyjob.execution.serialization import explain
from anyjob.ledger.encoding import decode_outcome
from anyjob.orders import Answer, Observation, Order, Rejected, Ticket, Unsure
from anyjob.specs import Call, Outcome, Resources, Spec
from anyjob.taskbackend import TaskBackend, to_outcome
from anyjob_dask import keys, worker_resources
from anyjob_dask.connection import SchedulerConnection
from anyjob_dask.observations import LastObservation, gone_outcome, is_over, observation
from anyjob_dask.options import DaskJobOptions, DaskOptions
from anyjob_dask.results import ResultStore
from anyjob_dask.serialization import Serialized, pack

SENT = 1 << 20
"""Bytes of work from which it is sent ahead of its task, to a worker, rather than within it."""
YOUNG = 5.0
"""Seconds after which what was heard of a job that has not ended is asked for once more."""
SETTLED = 0.5
"""Seconds after which a job is taken out of the cluster whose outcome was fetched and is written down."""
BUSY = 5.0
"""The same at most, while others have not ended: their turn comes first. A large result does not wait."""
ARRIVAL = 2.0
"""Seconds for which a cancel waits for a job that was just handed over to arrive at the scheduler."""


class DaskBackend(TaskBackend):
    """Type ``dask``: a Dask cluster, by its scheduler; or one that is started on this machine.

    Calls and commands run beside a worker, in processes that can be ended, or calls in its threads (option
    ``isolation``). Jobs of a scheduler that is not ours outlive this process.
    """

    Options = DaskOptions
    JobOptions = DaskJobOptions
    accepts = frozenset({"command", "python"})
    floor = 0.1
    ceiling = 5.0
    grace = 10.0

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options or DaskOptions())
        given: DaskOptions = self.options
        in_processes = given.isolation == "process"
        self.capabilities = Capabilities(
            durable=given.keeps,
            shared_files=given.is_ours if given.shared_files is None else given.shared_files,
            find=True,
            logs=True,
            cancel_running=in_processes,
            walltime=in_processes,
            notifies=True,
        )
        self._line = SchedulerConnection(given, self._hear)
        self._seen: dict[str, LastObservation] = {}
        self._results: dict[str, Any] = {}
        self._fetched: deque[str] = deque()
        self._releases = False
        self._release_by = math.inf
        self._heard_by = 0
        self._lock = threading.Lock()
        self._owner = os.getpid()
        root = (lambda: self.spool_root) if given.keeps else None
        self._shelf = ResultStore(root, self, self._tracker.when_forgotten)

    def status(self) -> BackendStatus:
        """Ask the scheduler; ``pending_jobs`` are those of this process that have not ended."""
        if self.options.is_ours and not self._line.is_up:
            return BackendStatus(self.name(), self.version(), True, 0, "starts with the first job")
        try:
            workers = self._line.ask("hello")["workers"]
        except BackendError as error:
            return BackendStatus(self.name(), self.version(), False, 0, str(error))
        threads = sum(worker["threads"] for worker in workers.values())
        words = f"{len(workers)} workers, {threads} threads"
        return BackendStatus(self.name(), self.version(), True, len(self._tracker.open_ids()), words)

    # --- handing over -------------------------------------------------------------------------

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Hand orders over, in one message."""
        parcels = [_packed(order.spec) for order in orders]  # what cannot be pickled is raised first
        client = self._line.client()
        self._take_up_line()
        if self.capabilities.durable:
            self._line.ask("ask", job_ids=[])  # raises where it cannot be handed over now
        resources, options = orders[0].resources, orders[0].options
        takes, lack = self._needs(resources, options)
        if lack and (self.options.is_ours or (resources.nodes or 1) > 1):
            for order in orders:
                yield order, Rejected(lack)
        else:
            yield from self._hand_over(client, orders, parcels, options, takes, lack)

    def _needs(self, resources: Resources, options: DaskJobOptions) -> tuple[dict[str, float], str]:
        """Return which of Dask's resources a job takes up, and what no worker has of that now."""
        if (resources.nodes or 1) > 1:
            return {}, f"it asks for {resources.nodes} nodes: a task of Dask's runs on one"
        if not (resources.cpus or resources.memory or resources.gpus or options.resources):
            return {}, ""
        workers = [worker["resources"] for worker in self._line.ask("hello")["workers"].values()]
        takes = worker_resources.wanted(
            resources, options.resources, {name for worker in workers for name in worker}
        )
        return takes, worker_resources.short_of(takes, workers)

    def _hand_over(
        self,
        client: Any,
        orders: Sequence[Order],
        parcels: Sequence[Serialized],
        options: DaskJobOptions,
        takes: dict[str, float],
        lack: str,
    ) -> Iterator[tuple[Order, Answer]]:
        cwd = _here()
        named = [self._key(order) for order in orders]
        bodies = self._bodies(client, parcels)
        for order in orders:
            self._seen[order.job_id] = LastObservation(message=lack)
        futures: list[Any] = []
        for function, same in groupby(zip(orders, named, bodies, strict=True), key=self._function):
            group = list(same)
            futures += client.map(
                function,
                [tuple(_head(order, key, cwd)) for order, key, _ in group],
                [body for _, _, body in group],
                key=[key for _, key, _ in group],
                resources=takes or None,
                workers=list(options.workers) or None,
                priority=options.priority,
                pure=False,
            )
        taken = self._taken(orders)
        answers: list[Answer] = [
            key if order.job_id in taken else _not_taken(future)
            for order, key, future in zip(orders, named, futures, strict=True)
        ]
        # They are let go of in Dask's own thread, which need not be woken for each of them.
        client.loop.add_callback(futures.clear)
        yield from zip(orders, answers, strict=True)

    def _key(self, order: Order) -> str:
        durable, restartable = self.capabilities.durable, order.resources.restartable
        return keys.key_of(order.spec, order.job_id, durable=durable, restartable=restartable)

    def _function(self, asked: tuple[Order, str, Any]) -> Any:
        """Return what Dask is to call for a job."""
        from anyjob_dask import job_runner

        if not isinstance(asked[0].spec, Call):
            return job_runner.run
        return job_runner.call if self.options.isolation == "process" else job_runner.call_here

    def _bodies(self, client: Any, parcels: Sequence[Serialized]) -> list[Any]:
        """Return the work to go with the tasks: by itself, or as what was sent ahead."""
        from anyjob_dask.messages import Body

        large = [number for number, parcel in enumerate(parcels) if parcel.nbytes > SENT]
        bodies: list[Any] = [parcel if parcel.buffers else parcel.blob for parcel in parcels]
        if large:
            sent = client.scatter(
                [Body(parcels[number].blob, parcels[number].buffers) for number in large],
                hash=False,
                direct=self._direct,
                timeout=self.options.timeout,
            )
            for number, future in zip(large, sent, strict=True):
                bodies[number] = future
        return bodies

    @property
    def _direct(self) -> bool | None:
        return True if self.options.is_ours else self.options.direct

    def _taken(self, orders: Sequence[Order]) -> set[str]:
        """Return which jobs the scheduler says that it has."""
        ids = [order.job_id for order in orders]
        if not self.capabilities.durable:
            return set(ids)
        try:
            answer = self._line.ask("ask", job_ids=ids, patience=self.options.timeout)
        except BackendUnavailableError:
            return set()
        return set(answer)

    # --- hearing and asking ---------------------------------------------------------------------

    def _hear(self, told: dict[str, Any]) -> None:
        """In Dask's own thread: the scheduler tells of jobs, also of those of others."""
        ids = [job_id for job_id in told.get("running", ()) if self._begins(job_id, told["worker"])]
        for job_id, state in told.get("ended", {}).items():
            if job_id in self._seen:
                self._take_in(job_id, state)
                ids.append(job_id)
        if ids:
            self.notify(ids)

    def _take_in(self, job_id: str, state: dict[str, Any]) -> None:
        """Take in what the scheduler says of a job."""
        if "result" in state:
            self._results[job_id] = state["result"]
        seen = self._seen.get(job_id)
        if seen is None or not is_over(seen):
            fields = {name: state[name] for name in LastObservation.__struct_fields__ if name in state}
            self._seen[job_id] = LastObservation(**fields)

    def _begins(self, job_id: str, worker: str) -> bool:
        seen = self._seen.get(job_id)
        if seen is None or seen.state not in ("waiting", "running"):
            return False
        self._seen[job_id] = LastObservation("running", worker)
        return True

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Tell what was heard; ask about what was not, or not for a while."""
        self._line.client()
        self._take_up_line()
        ours = {ticket.job_id: _id_there(ticket) for ticket in tickets}
        self._catch_up(ours.values())
        self._fetch_results(tickets)
        found = {}
        for ticket in tickets:
            seen = self._seen.get(ours[ticket.job_id])
            if seen is not None:
                found[ticket.job_id] = observation(seen, ours[ticket.job_id] in self._results)
        return found

    def _fetch_results(self, tickets: Sequence[Ticket]) -> None:
        """Fetch what came of jobs that have ended: until it is here, nobody knows how they have."""
        ended = {}
        for ticket in tickets:
            there = _id_there(ticket)
            seen = self._seen.get(there)
            if seen is not None and seen.state == "ended" and there not in self._results:
                ended[ticket.native_id] = there
        if not ended:
            return
        found = self._gathered(ended)
        for key, there in ended.items():
            if key in found:
                self._results[there] = found[key]
            else:
                self._seen.pop(there, None)  # another process may have taken it out

    def _take_up_line(self) -> None:
        """Forget what was heard by a line that is there no more."""
        with self._lock:
            if self._heard_by != self._line.number:
                self._heard_by = self._line.number
                self._releases = False
                self._seen.clear()
                self._results.clear()

    def _catch_up(self, job_ids: Any) -> None:
        old = time.monotonic() - YOUNG
        unheard = [each for each in job_ids if self._is_old_news(each, old)]
        if not unheard:
            return
        answer = self._line.ask("ask", job_ids=unheard)
        for job_id in set(unheard).difference(answer):
            self._seen.pop(job_id, None)  # it is not known there: not now, or not any more
        for job_id, state in answer.items():
            self._take_in(job_id, state)

    def _is_old_news(self, job_id: str, old: float) -> bool:
        seen = self._seen.get(job_id)
        return seen is None or (not is_over(seen) and seen.since < old)

    # --- what came of them ------------------------------------------------------------------------

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Fetch what came of jobs, with what they wrote; of those that are not there, read the ledger."""
        found: dict[str, Outcome] = {}
        unknown = []
        small = set()
        for ticket in tickets:
            there = _id_there(ticket)
            seen = self._seen.get(there)
            if there in self._results:
                if isinstance(self._results[there], bytes):
                    small.add(there)
                found[ticket.job_id] = self._outcome(ticket, self._results[there])
                del self._results[there]
            elif seen is None:
                unknown.append(ticket)
            elif seen.state == "gone":
                found[ticket.job_id] = gone_outcome(seen)
        if unknown and self.capabilities.durable:
            found.update(self._settled_elsewhere([ticket.job_id for ticket in unknown]))
        self._let_go([ticket for ticket in tickets if ticket.job_id in found], small)
        return found

    def _gathered(self, ended: Mapping[str, str]) -> dict[str, Any]:
        """Return what came of tasks; a large value stays where it is, unless it is to outlive the cluster."""
        from anyjob_dask import job_runner

        whole = []
        found = {}
        for key, there in ended.items():
            seen = self._seen.get(there)
            if seen is not None and seen.large and seen.worker and not self.capabilities.durable:
                found[key] = self._line.run_on(seen.worker, job_runner.peek, key)
            else:
                whole.append(key)
        found.update(self._line.gather(whole) if whole else {})
        return {key: result for key, result in found.items() if result is not None}

    def _outcome(self, ticket: Ticket, result: Any) -> Outcome:
        from anyjob_dask.messages import Ended

        if isinstance(result, bytes):
            result = Ended.opened(result)
        outcome = to_outcome(result.fields)
        for stream, data in result.logs.items():
            self._shelf.keep(ticket, stream, data)
        if result.value is not None:
            outcome.value = self._shelf.value(ticket, result.value)
        return outcome

    def _settled_elsewhere(self, job_ids: Sequence[str]) -> dict[str, Outcome]:
        """Return what other processes have written down of jobs."""
        rows = self.services.ledger.rows(list(job_ids))
        return {
            job_id: decode_outcome(row.outcome) for job_id, row in rows.items() if row.outcome is not None
        }

    def _let_go(self, tickets: Sequence[Ticket], small: Container[str]) -> None:
        """Take jobs out of the cluster, once what came of them is written down."""
        for ticket in tickets:
            there = _id_there(ticket)
            seen = self._seen.pop(there, None)
            if seen is not None and seen.large and not self.capabilities.durable:
                self._tracker.when_forgotten(ticket.job_id, functools.partial(self._release_soon, there))
            else:
                self._release_soon(there, BUSY if there in small else SETTLED)

    def _release_soon(self, job_id: str, within: float = SETTLED) -> None:
        """Also called where an object is collected, in whatever thread: so without a lock."""
        self._fetched.append(job_id)
        self._release_by = min(self._release_by, time.monotonic() + within)
        self._plan_release()

    def _plan_release(self) -> None:
        if not self._releases:
            self._releases = True
            self._line.soon(SETTLED, self._release)

    async def _release(self) -> None:
        """In Dask's own thread."""
        self._releases = False
        if self._tracker.open_ids() and time.monotonic() < self._release_by:
            self._plan_release()
            return
        self._release_by = math.inf
        ready = self._written_down()
        if ready:
            await self._line.tell("release", job_ids=ready)

    def _written_down(self) -> list[str]:
        """Return, once, the jobs that the cluster need not keep any more."""
        open_ids = set(self._tracker.open_ids())
        with self._lock:
            fetched = [self._fetched.popleft() for _ in range(len(self._fetched))]
        for job_id in fetched:
            if job_id in open_ids:
                self._release_soon(job_id)
        return [job_id for job_id in fetched if job_id not in open_ids]

    def fetch(self, key: str) -> Any:
        """Return a value that has stayed in the cluster.

        Raises:
            JobFailedError: it is there no more.
        """
        result = self._line.gather([key]).get(key)
        if result is None:
            raise JobFailedError(f"the result {key} is not in the cluster any more", reason="lost")
        return result.value.load()

    # --- ending, finding, reading -------------------------------------------------------------------

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Take jobs out of the queue, or have their worker end them."""
        from anyjob_dask import job_runner

        self._take_up_line()
        ours = {_id_there(ticket): ticket.job_id for ticket in tickets}
        answer: dict[str, str] = self._line.ask("cancel", job_ids=list(ours), patience=ARRIVAL)
        accepted = dict.fromkeys(ours, False)
        workers: dict[str, list[str]] = {}
        for job_id, worker in answer.items():
            if worker:
                workers.setdefault(worker, []).append(job_id)
            else:
                accepted[job_id] = True
        for worker, some in workers.items():
            said = self._line.run_on(worker, job_runner.cancel, some) or {}
            idle = [job_id for job_id in some if said.get(job_id) == "idle"]
            accepted.update({job_id: said.get(job_id) == "ending" for job_id in some})
            if idle:  # it has been told to that worker that they are not to begin
                self._line.ask("cancel", job_ids=idle, anyway=idle)
                accepted.update(dict.fromkeys(idle, True))
        return {ours[job_id]: is_accepted for job_id, is_accepted in accepted.items()}

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Ask the scheduler which of these it has."""
        answer = self._line.ask("ask", job_ids=list(job_ids))
        return {job_id: state["key"] for job_id, state in answer.items() if state.get("key")}

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read what a job has written: from its directory once it has ended, else from its worker."""
        from anyjob_dask import job_runner

        place = self._shelf.place(ticket.job_id)
        if place is not None:
            return spool.read_range(place / stream, offset)
        there = _id_there(ticket)
        self._take_up_line()
        self._catch_up([there])
        seen = self._seen.get(there)
        if seen is None or seen.state not in ("running", "waiting") or not seen.worker:
            return b""
        return self._line.run_on(seen.worker, job_runner.read_logs, there, stream, offset) or b""

    def close(self) -> None:
        """Let go; jobs of a cluster that is not ours run on if they are durable."""
        if os.getpid() != self._owner:
            return
        if self._line.is_up:
            with suppress(BackendError):
                if not self.capabilities.durable:
                    self._end_all()
                elif ready := self._written_down():
                    self._line.ask("release", job_ids=ready)
        super().close()
        self._line.close()
        self._shelf.close()

    def _end_all(self) -> None:
        """End what has not: it does not outlive the backend."""
        open_ids = set(self._tracker.open_ids())
        records = [record for record in self._tracker.records() if record.job_id in open_ids]
        tickets = [record.ticket() for record in records if record.native_id is not None]
        self.terminate(tickets)


def _not_taken(future: Any) -> Answer:
    if future.status == "error":
        return Rejected(f"the scheduler could not read it: {future.exception()!r}")
    return Unsure()


def _packed(spec: Spec) -> Serialized:
    try:
        return pack((spec.fn, spec.args, spec.kwargs) if isinstance(spec, Call) else spec)
    except Exception as error:
        raise explain(spec, error) from error


def _head(order: Order, key: str, cwd: str | None) -> Any:
    from anyjob_dask.job_runner import Head

    environment = {name: text for name, text in order.environment.items() if name != "ANYJOB_JOB_ID"}
    return Head(key, order.job_id, environment, order.resources.walltime, cwd)


def _id_there(ticket: Ticket) -> str:
    """Return the id that a job has in its key: ours, unless we were attached to somebody else's."""
    if ticket.job_id in ticket.native_id:
        return ticket.job_id
    mark = keys.parse(ticket.native_id)
    return ticket.job_id if mark is None else mark.job_id


def _here() -> str | None:
    with suppress(OSError):
        return os.getcwd()
    return None
