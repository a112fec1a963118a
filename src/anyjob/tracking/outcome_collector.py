"""Collects what came of jobs that have ended: each once, and one that cannot be read harms no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from anyjob.errors import AnyjobError, in_words
from anyjob.outcome import Outcome
from anyjob.process.forks import in_each_process
from anyjob.spool.outcomes import unreadable
from anyjob.status import JOB_FINAL_STATES, as_status

if TYPE_CHECKING:
    from anyjob.orders import Observation, Ticket
    from anyjob.tracking.engine import Engine
    from anyjob.tracking.records import JobRecord, JobTable
    from anyjob.tracking.transitions import Transitions


class OutcomeCollector:
    """The ends of a task backend's jobs: what came of each is collected, written down and settled.

    Args:
        backend: whose jobs they are.
        jobs: the records of these.
        transitions: settles what has been written down.
    """

    def __init__(self, backend: Engine, jobs: JobTable, transitions: Transitions) -> None:
        self._backend, self._jobs, self._transitions = backend, jobs, transitions
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        # What was learnt, and could not be written yet: an engine may say it only once.
        self._collected: dict[str, Outcome] = {}

    def collect(self, ended: list[tuple[JobRecord, Ticket, Observation | None]]) -> bool:
        """Settle these jobs by what came of them, else by what the engine says.

        Of one that the engine says nothing about, only an outcome shows that it has ended.

        Args:
            ended: each with the ticket that the engine was asked with, and what it said.
        """
        ours: list[tuple[JobRecord, Ticket, int, Observation | None]] = []
        with self._jobs.lock:  # two threads may have seen the same end: one of them collects
            for record, ticket, seen in ended:
                launched = record.launched_attempt
                if record.outcome is None and not record.collecting and record.has(ticket):
                    record.collecting = True
                    ours.append((record, ticket, launched, seen))
        if not ours:
            return False
        settled = False
        try:
            known = self._collected
            unknown = [
                (record, ticket, seen) for record, ticket, _, seen in ours if record.job_id not in known
            ]
            if unknown:
                known.update(self._outcomes(unknown))
            outcomes = {r.job_id: known[r.job_id] for r, _, _, _ in ours if r.job_id in known}
            for record, _, launched, seen in ours:
                if record.job_id not in outcomes and seen is not None:
                    outcomes[record.job_id] = Outcome(
                        status=as_status(seen.status),
                        reason=seen.reason,
                        message=seen.message,
                        attempt=seen.attempt,
                    )
                if record.job_id in outcomes:
                    _add_cost(outcomes[record.job_id], seen, record)
                    if launched > 1:
                        outcomes[record.job_id] = _counted(outcomes[record.job_id], launched)
            native_ids = {record.job_id: ticket.native_id for record, ticket, _, _ in ours}
            kept = self._backend.recorder.settled(outcomes, native_ids)
            for record, _, _, _ in ours:
                if record.job_id in kept:
                    self._transitions.settle(record, kept[record.job_id])
                elif record.job_id in outcomes:
                    self._transitions.goes_again(record, outcomes[record.job_id].attempt + 1)
                else:
                    continue
                known.pop(record.job_id, None)
                settled = True
        finally:
            for record, _, _, _ in ours:
                record.collecting = False
        return settled

    def _outcomes(self, ended: list[tuple[JobRecord, Ticket, Observation | None]]) -> dict[str, Outcome]:
        """Return what came of these jobs. What one has left, and cannot be read, is the trouble of no other.

        Raises:
            AnyjobError: the engine cannot be asked: that says nothing of any job.
            OSError: likewise.
        """
        try:
            found = dict(self._backend.collect([ticket for _, ticket, _ in ended]))
        except (AnyjobError, OSError):
            raise
        except Exception:  # a fault of the plugin over one job: they are collected one by one
            found = {}
            for _, ticket, seen in ended:
                try:
                    found.update(self._backend.collect([ticket]))
                except (AnyjobError, OSError):
                    continue  # it is asked again
                except Exception as error:
                    if seen is not None:  # the engine says that it has ended
                        found[ticket.job_id] = unreadable(in_words(error), seen.attempt)
        ours = {ticket.job_id: record.job_id for record, ticket, _ in ended}
        return {ours[i]: _checked(outcome) for i, outcome in found.items() if i in ours}


def _checked(outcome: Any) -> Outcome:
    if isinstance(outcome, Outcome) and outcome.status in JOB_FINAL_STATES:
        return outcome
    return unreadable(f"collect() gave {outcome!r:.80}, and not an Outcome with a final status")


def _counted(outcome: Outcome, launched: int) -> Outcome:
    """Return what came of an attempt with its number, of which the engine has counted the last few."""
    return msgspec.structs.replace(outcome, attempt=outcome.attempt + launched - 1)


def _add_cost(outcome: Outcome, *told: Observation | JobRecord | None) -> None:
    """Keep what a job has cost, as the engine told last, with what came of it."""
    for each in told:
        if outcome.cost is None and each is not None and each.cost is not None:
            outcome.cost, outcome.currency = each.cost, each.currency
