"""The type ``dask``."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyjob import BackendError, BackendStatus, Capabilities, Observation, Order, Outcome, TaskBackend, Ticket
from anyjob.sdk import Answer, in_each_process, outcome_from_report, read_range
from anyjob_dask import keys
from anyjob_dask.client.connection import SchedulerConnection
from anyjob_dask.client.job_states import JobStates
from anyjob_dask.client.observations import outcome_without_result, to_observation
from anyjob_dask.client.releases import ReleaseQueue
from anyjob_dask.client.results import ResultStore
from anyjob_dask.client.submission import Submitter
from anyjob_dask.options import DaskJobOptions, DaskOptions

ARRIVAL_TIMEOUT = 2.0
"""Seconds for which a cancel waits for a job that was just submitted to arrive at the scheduler."""


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
        chosen: DaskOptions = self.options
        in_processes = chosen.isolation == "process"
        self.capabilities = Capabilities(
            durable=chosen.is_durable,
            shared_files=chosen.owns_cluster if chosen.shared_files is None else chosen.shared_files,
            find=True,
            logs=True,
            cancel_running=in_processes,
            walltime=in_processes,
            notifies=True,
            call_environment=True,
            output_files=True,
            gpu_shares=True,
            needs=True,
        )
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        chosen: DaskOptions = self.options
        self._connection = SchedulerConnection(chosen, self._on_event)
        self._states = JobStates(self._connection, fetch_large=chosen.is_durable)
        self._submitter = Submitter(self._connection, self._states, chosen)
        self._releases = ReleaseQueue(self._connection, self.open_ids)
        self._large: set[str] = set()  # the jobs whose result is in the cluster, though they were collected
        directory = self.job_directory if chosen.is_durable else None
        self._store = ResultStore(directory, self._connection, self.when_forgotten)

    def status(self) -> BackendStatus:
        """Ask the scheduler; ``pending_jobs`` are those of this process that have not ended."""
        if self.options.owns_cluster and not self._connection.is_up:
            return BackendStatus(self.name(), self.version(), True, 0, "starts with the first job")
        try:
            workers = self._connection.request("cluster_info")["workers"]
        except BackendError as error:
            return BackendStatus(self.name(), self.version(), False, 0, str(error))
        threads = sum(worker["threads"] for worker in workers.values())
        message = f"{len(workers)} workers, {threads} threads"
        return BackendStatus(self.name(), self.version(), True, len(self.open_ids()), message)

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Submit orders, by one message."""
        yield from self._submitter.submit(orders)

    def keep_results(self, tickets: Sequence[Ticket]) -> Mapping[str, Any]:
        """Give the futures of those that are in the cluster: as long as there are such, it keeps them."""
        ids = {ticket.job_id: _id_in_key(ticket) for ticket in tickets}
        if self.capabilities.durable:  # who has submitted these may be anybody
            here = set(self._connection.request("keep", job_ids=list(ids.values())))
        else:
            self._states.discard_outdated()
            here = {each for each in ids.values() if each in self._large or self._states.is_there(each)}
        return self._connection.futures({t.job_id: t.native_id for t in tickets if ids[t.job_id] in here})

    # --- observing --------------------------------------------------------------------------------

    def _on_event(self, event: dict[str, Any]) -> None:
        changed = self._states.on_event(event)
        if changed:
            self.notify(changed)

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Tell what the scheduler has reported; ask about what it has not, or not for a while."""
        self._connection.client()
        self._states.discard_outdated()
        ids = {ticket.job_id: _id_in_key(ticket) for ticket in tickets}
        self._states.refresh(ids.values())
        self._states.fetch_results({ids[ticket.job_id]: ticket.native_id for ticket in tickets})
        found = {}
        for job_id, id_in_key in ids.items():
            last = self._states.last(id_in_key)
            if last is not None:
                found[job_id] = to_observation(last, self._states.result(id_in_key) is not None)
        return found

    # --- outcomes ---------------------------------------------------------------------------------

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Take the results of jobs, with what they wrote; of those that are not known, read the ledger."""
        found: dict[str, Outcome] = {}
        unknown = []
        small = set()
        for ticket in tickets:
            id_in_key = _id_in_key(ticket)
            last = self._states.last(id_in_key)
            result = self._states.result(id_in_key)
            if result is not None:
                found[ticket.job_id] = self._outcome(ticket, result)
                if isinstance(result, bytes):
                    small.add(ticket.job_id)
            elif last is None:
                unknown.append(ticket.job_id)
            elif last.state == "no-result":
                found[ticket.job_id] = outcome_without_result(last)
        if unknown and self.capabilities.durable:
            found.update(self.recorded_outcomes(unknown))
        for ticket in tickets:
            if ticket.job_id in found:
                self._release(ticket, may_wait=ticket.job_id in small)
        return found

    def _outcome(self, ticket: Ticket, result: Any) -> Outcome:
        from anyjob_dask.messages import JobResult

        if isinstance(result, bytes):
            result = JobResult.from_bytes(result)
        outcome = outcome_from_report(result.fields)
        for stream, data in result.logs.items():
            self._store.write(ticket, stream, data)
        if result.value is not None:
            outcome.value = self._store.pickled_value(ticket, result.value)
        return outcome

    def _release(self, ticket: Ticket, *, may_wait: bool) -> None:
        """Have a job leave the cluster once its outcome is written down, or its large value not needed."""
        id_in_key = _id_in_key(ticket)
        last = self._states.forget(id_in_key)
        if last is not None and last.large and not self.capabilities.durable:
            self._large.add(id_in_key)
            self.when_forgotten(ticket.job_id, functools.partial(self._forget_large, id_in_key))
        else:
            self._releases.add(id_in_key, may_wait=may_wait)

    def _forget_large(self, id_in_key: str) -> None:
        self._large.discard(id_in_key)
        self._releases.add(id_in_key)

    # --- cancelling, finding, reading ---------------------------------------------------------------

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Take jobs out of the queue, or have their worker end them."""
        from anyjob_dask.worker import worker_tasks

        self._states.discard_outdated()
        ours = {_id_in_key(ticket): ticket.job_id for ticket in tickets}
        answer: dict[str, str] = self._connection.request(
            "cancel", job_ids=list(ours), behind=self._states.unseen(), arrival_timeout=ARRIVAL_TIMEOUT
        )
        accepted = dict.fromkeys(ours, False)
        workers: dict[str, list[str]] = {}
        for job_id, worker in answer.items():
            if worker:
                workers.setdefault(worker, []).append(job_id)
            else:
                accepted[job_id] = True
        for worker, job_ids in workers.items():
            found = self._connection.run_on(worker, worker_tasks.cancel, job_ids) or {}
            accepted.update({job_id: found.get(job_id) == "ending" for job_id in job_ids})
            not_begun = [job_id for job_id in job_ids if found.get(job_id) == "not-begun"]
            if not_begun:  # and never will: that worker knows
                self._connection.request("cancel", job_ids=not_begun, not_begun=not_begun)
                accepted.update(dict.fromkeys(not_begun, True))
        return {ours[job_id]: is_accepted for job_id, is_accepted in accepted.items()}

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Ask the scheduler which of these it has."""
        states = self._connection.request("job_states", job_ids=list(job_ids))
        return {job_id: state["key"] for job_id, state in states.items() if state.get("key")}

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read what a job has written: from its directory once it has ended, else from its worker."""
        from anyjob_dask.worker import worker_tasks

        directory = self._store.directory(ticket.job_id)
        if directory is not None:
            return read_range(directory / stream, offset)
        id_in_key = _id_in_key(ticket)
        self._states.discard_outdated()
        self._states.refresh([id_in_key])
        last = self._states.last(id_in_key)
        if last is None or last.state not in ("running", "waiting") or not last.worker:
            return b""
        return self._connection.run_on(last.worker, worker_tasks.read_logs, id_in_key, stream, offset) or b""

    def close(self) -> None:
        """Close the connection; jobs of a cluster that is not ours run on if they are durable."""
        if self._connection.is_up:
            with suppress(BackendError):
                if not self.capabilities.durable:
                    self.terminate(self.open_tickets())  # what has not ended does not outlive the backend
                elif ready := self._releases.take():
                    self._connection.request("release", job_ids=ready)
        super().close()
        self._connection.close()
        self._store.close()


def _id_in_key(ticket: Ticket) -> str:
    """Return the id that a job has in its key: ours, unless we were attached to somebody else's."""
    if ticket.job_id in ticket.native_id:
        return ticket.job_id
    parsed = keys.parse(ticket.native_id)
    return ticket.job_id if parsed is None else parsed.job_id
