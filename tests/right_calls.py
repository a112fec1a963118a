"""A backend that runs calls alone, sees none of its caller's files, and keeps all promises."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from anyjob.backend import Capabilities
from anyjob.orders import Answer, Observation, Order, Ticket
from anyjob.outcome import Outcome
from anyjob.serialization.pickling import dump_call
from anyjob.specs import Call
from anyjob.spool.reports import outcome_from_report
from anyjob.standalone.runner import perform, pickled
from anyjob.status import JobStatus
from anyjob.taskbackend import TaskBackend


class RightCallsBackend(TaskBackend):
    """Runs calls on threads of this process, by their pickles, as an engine far away does."""

    accepts = frozenset({"python"})
    capabilities = Capabilities(cancel_running=False, walltime=False)
    floor = 0.01
    ceiling = 0.1
    grace = 0.3

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self.outcomes: dict[str, Outcome | None] = {}

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Pickle all of them before the first one runs."""
        packed = [(order, dump_call(order.spec)) for order in orders if isinstance(order.spec, Call)]
        for order, payload in packed:
            native_id = f"call-{len(self.outcomes)}"
            self.outcomes[native_id] = None
            threading.Thread(target=self.call, args=(native_id, payload), daemon=True).start()
            yield order, native_id

    def call(self, native_id: str, payload: bytes) -> None:
        """Do one call."""
        self.outcomes[native_id] = outcome_from_report(pickled(perform(partial(pickle.loads, payload))))

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Look at what the calls have left."""
        seen = {}
        for ticket in tickets:
            if ticket.native_id in self.outcomes:
                outcome = self.outcomes[ticket.native_id]
                seen[ticket.job_id] = Observation(outcome.status if outcome else JobStatus.RUNNING)
        return seen

    def terminate(self, tickets: Sequence[Ticket]) -> Mapping[str, bool]:
        """A thread cannot be ended."""
        return {ticket.job_id: False for ticket in tickets}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Take what the calls have left."""
        left = {ticket.job_id: self.outcomes.get(ticket.native_id) for ticket in tickets}
        return {job_id: outcome for job_id, outcome in left.items() if outcome is not None}
