"""The mode ``durable``: the task owner, a detached actor in the cluster, has the jobs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyjob import BackendError, Observation, Order, Outcome, Ticket, Unsure
from anyjob.sdk import Answer, write_private
from anyjob_ray import connection
from anyjob_ray.actors.job_events import Event
from anyjob_ray.modes.event_poller import EventPoller
from anyjob_ray.modes.mode import Mode, are_few, observation
from anyjob_ray.modes.owner_client import ACTOR_NAME, OwnerClient
from anyjob_ray.results import dump_value, load_outcome
from anyjob_ray.tasks.object_refs import add_done_callback

MAX_MESSAGE_JOBS = 100
"""Jobs that the task owner is given by one message, while the next are packed."""


class DurableMode(Mode):
    """Gives jobs to the task owner, and polls it."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self._owner = OwnerClient(self.ray, self.options, backend.name())
        self._poller = EventPoller(self.ray, self._owner, self._on_events)
        self._closed = False
        self._job_ids: set[str] = set()
        """Those that this process has submitted or asked about, and has no outcome of."""
        self._outcomes: dict[str, bytes] = {}
        """What was told of jobs before they were asked about, pickled."""
        self._unreported_reads: list[str] = []
        self._cancelling: set[str] = set()

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Give jobs to the task owner, some at a time."""
        wanted, task_options, rejected = self.feasible(orders)
        yield from rejected
        if not wanted:
            return
        # Nothing has been given to it yet: if it does not answer now, nothing is in doubt.
        self._owner.ask(lambda owner: owner.ping.remote(), create=True)
        owner = self._owner.actor(create=True)
        self._job_ids.update(order.job_id for order in wanted)
        walltime = wanted[0].resources.walltime
        launch = self.batched_launch(wanted, task_options)
        packer = self.packer(ACTOR_NAME, wanted)
        submitted = []
        for start in range(0, len(wanted), MAX_MESSAGE_JOBS):
            chunk = wanted[start : start + MAX_MESSAGE_JOBS]
            jobs = [tuple(packer.pack(order)) for order in chunk]
            ref = owner.submit.remote(jobs, task_options, walltime, launch, are_few(wanted))
            submitted.append((chunk, ref))
        for chunk, ref in submitted:
            yield from self._answers(chunk, ref)

    def _answers(self, orders: Sequence[Order], ref: Any) -> Iterator[tuple[Order, Answer]]:
        try:
            taken, job_refs = self.ray.get(ref, timeout=self.options.timeout)
        except Exception as error:
            if any(each.__name__ == "RayTaskError" for each in type(error).__mro__):  # it has answered
                raise BackendError(
                    f"backend {self.backend.name()!r}: Ray cannot run it: {_cause(error)}"
                ) from error
            taken, job_refs = [], []
        for job_id, job_ref in zip(taken, job_refs, strict=False):
            self._follow(job_id, job_ref)
        known = set(taken)
        for order in orders:
            yield order, order.job_id if order.job_id in known else Unsure()

    def _follow(self, job_id: str, ref: Any) -> None:
        """Hear of the end of a job from Ray itself, not by way of the task owner."""
        if ref is not None:  # else it has ended already
            add_done_callback(ref, lambda result: self.on_notification(job_id, result))

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Ask the task owner where jobs are, save those whose outcome was just told."""
        ids = [ticket.job_id for ticket in tickets]
        self._job_ids.update(ids)
        found = {job_id: observation("ENDED") for job_id in ids if job_id in self._outcomes}
        asked = [job_id for job_id in ids if job_id not in found]
        states = self._owner.ask(lambda owner: owner.states.remote(asked)) if asked else None
        found.update({job_id: observation(state) for job_id, state in (states or {}).items()})
        return found

    def refs(self, job_ids: Sequence[str]) -> Mapping[str, Any]:
        """Ask the task owner."""
        return self._owner.ask(lambda owner: owner.refs.remote(list(job_ids))) or {}

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """Have the task owner cancel jobs."""
        ids = [ticket.job_id for ticket in tickets]
        self._cancelling.update(ids)
        return self._owner.ask(lambda owner: owner.cancel.remote(ids)) or {}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Return what came of jobs: what was told already, or what the task owner says now."""
        outcomes: dict[str, tuple[bytes, Any]] = {}
        for ticket in tickets:
            outcome = self._outcomes.get(ticket.job_id)
            if outcome is not None:
                outcomes[ticket.job_id] = outcome, None
        asked = [ticket.job_id for ticket in tickets if ticket.job_id not in outcomes]
        if asked:
            outcomes.update(self._owner.ask(lambda owner: owner.outcomes.remote(asked)) or {})
        found = {}
        for ticket in tickets:
            if ticket.job_id in outcomes:
                found[ticket.job_id] = self._outcome(ticket, *outcomes[ticket.job_id])
                self._outcomes.pop(ticket.job_id, None)
                self._job_ids.discard(ticket.job_id)
                self._cancelling.discard(ticket.job_id)
                self._unreported_reads.append(ticket.job_id)
        return found

    def _outcome(self, ticket: Ticket, blob: bytes, ref: Any) -> Outcome:
        if ref is not None:
            blob = self.ray.get(ref, timeout=None)[0]
        outcome, written = load_outcome(blob, ref)
        outcome.value = dump_value(outcome.value)
        if any(written):
            directory = self.backend.job_directory(ticket.job_id)
            for stream, data in zip(("stdout", "stderr"), written, strict=True):
                write_private(directory / stream, data)
        return outcome

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Ask the task owner which jobs it has: their ids are its own."""
        ids = list(job_ids)
        states = self._owner.ask(lambda owner: owner.states.remote(ids)) or {}
        return {job_id: job_id for job_id in states}

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Have the task owner refuse jobs that may still arrive."""
        ids = list(job_ids)
        here = self._owner.ask(lambda owner: owner.renounce.remote(ids)) or []
        return {job_id: job_id for job_id in here}

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read from the log files of the worker; once the job has ended, they are in its directory."""
        location = self._owner.ask(lambda owner: owner.location.remote(ticket.job_id))
        return b"" if location is None else self.read_log(location, stream, offset)

    def listen(self) -> None:
        """Poll the task owner from now on."""
        self._poller.start()

    def close(self) -> None:
        """Let go of the connection; the task owner and its jobs stay."""
        self._closed = True
        self._poller.close()
        if self.ray.is_initialized():
            self._report_reads()
        super().close()
        connection.disconnect()

    # --- in threads of Ray's, of the listener and of the poller -------------------------------------

    def on_notification(self, job_id: str, outcome: Any) -> None:
        """What a worker tells itself is taken as it is; all else the task owner knows better.

        In a thread of Ray's, or of the listener, neither of which must be kept.
        """
        if not isinstance(outcome, bytes) or job_id not in self._job_ids or job_id in self._cancelling:
            return
        if job_id not in self._outcomes and pickle.loads(outcome)["status"] != "CANCELLED":
            self._outcomes[job_id] = outcome
            self._notify([job_id])

    def _on_events(self, events: Sequence[Event], complete: bool) -> None:
        if complete:
            self._take_events(events)
        else:  # we have missed some
            self._notify(list(self._job_ids))
        self._report_reads()

    def _take_events(self, events: Sequence[Event]) -> None:
        changed = []
        for job_id, what, outcome in events:
            if job_id in self._job_ids:
                changed.append(job_id)
                if what == "ENDED" and outcome is not None:
                    self._outcomes[job_id] = outcome
        if changed:
            self._notify(changed)

    def _notify(self, job_ids: list[str]) -> None:
        if not self._closed:
            self.backend.notify(job_ids)

    def _report_reads(self) -> None:
        """Tell the task owner which outcomes were read, so that it need not keep them for long."""
        read, self._unreported_reads = self._unreported_reads, []
        owner = self._owner.known_actor
        if read and owner is not None:
            try:
                owner.were_read.remote(read)
            except Exception:  # it keeps them, then
                return


def _cause(error: BaseException) -> str:
    return str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
