"""A graph in which jobs are one node that are called the same and start after the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from anyjob.ledger.dependencies import RESULT, SUCCESS
from anyjob.ledger.reading.graph_reader import GraphJob, JobGraph
from anyjob.status import JobStatus

PARENT = -1
"""In place of a condition: it is the job that has submitted this."""
FEW = 10
"""Jobs without a name that are nodes of their own, where they start after the same."""
SHOWN = 100
"""Ids of a node that are kept."""


class Need(NamedTuple):
    """What a node is behind: the index of another, and the code of what that has to come to, or `PARENT`."""

    node: int
    condition: int


class Node(NamedTuple):
    """Jobs that are called the same and start after the same.

    Args:
        name: what they are called; empty where they are not.
        states: how many of them are in which state.
        jobs: the first of them.
        needs: what they start after.
        seconds: how long they have run together, those that have ended.
    """

    name: str
    states: Counter[JobStatus]
    jobs: list[GraphJob]
    needs: list[Need]
    seconds: float

    @property
    def total(self) -> int:
        """How many jobs it is."""
        return sum(self.states.values())

    @property
    def label(self) -> str:
        """What to call it: the name, with an id where it is one job; else what the first of them does."""
        first = self.jobs[0]
        if self.total > 1:
            return self.name or first.work or "jobs without a name"
        return f"{self.name or first.work} {first.job_id[:7]}".strip()

    @property
    def state(self) -> JobStatus:
        """The state that says most of all: that of one which failed, else of one that goes on."""
        return next(state for state in _TELLING if self.states[state])

    def in_words(self) -> str:
        """Return the states, with how many each."""
        if self.total == 1:
            reason = self.jobs[0].reason if self.state is JobStatus.ERROR else ""
            return self.state.name + (f" ({reason})" if reason else "")
        return ", ".join(f"{self.states[state]:,} {state.name}" for state in _TELLING if self.states[state])


_TELLING = (
    JobStatus.ERROR,
    JobStatus.CANCELLED,
    JobStatus.RUNNING,
    JobStatus.VALIDATING,
    JobStatus.QUEUED,
    JobStatus.INITIALIZING,
    JobStatus.DONE,
)


def fold(graph: JobGraph) -> list[Node]:
    """Return the nodes of a graph, each after those that it starts after.

    Of jobs that were run anew the newest counts, for those too that started after the first.
    """
    try:
        return _fold(graph, graph.newer)
    except CycleError:  # what was run anew starts now after what started after it before
        return _fold(graph, {})


def _fold(graph: JobGraph, newer: Mapping[int, int]) -> list[Node]:
    shown = {job.n: job for job in graph.jobs if job.n not in newer}
    alone = Counter(job.group for job in shown.values() if not job.name)
    needed = {
        group: [(_newest(n, newer), condition) for n, condition in needs]
        for group, needs in graph.needs.items()
    }
    order: TopologicalSorter[tuple[str, int]] = TopologicalSorter()
    parents = {n: _newest(parent, newer) for n, parent in graph.parents.items()}
    for job in shown.values():
        order.add(("job", job.n), *([] if job.group is None else [("group", job.group)]))
        if parents.get(job.n) in shown:
            order.add(("job", job.n), ("job", parents[job.n]))
    for group in {job.group for job in shown.values()} - {None}:
        order.add(("group", group or 0), *(("job", n) for n, _ in needed[group or 0] if n in shown))
    node_of: dict[int, int] = {}
    nodes: list[Node] = []
    known: dict[object, int] = {}
    needs_of: dict[int | None, tuple[Need, ...]] = {None: ()}
    for kind, n in order.static_order():
        if kind == "group":
            found = {Need(node_of[p], code) for p, code in needed[n] if p in node_of}
            needs_of[n] = tuple(sorted(need for need in found if not _goes_without(need, found)))
            continue
        job = shown[n]
        needs = needs_of[job.group]
        if parents.get(n) in node_of:
            needs = (*needs, Need(node_of[parents[n]], PARENT))
        same = job.name or ("" if alone[job.group] > FEW else job.job_id)
        key = (same, job.name != "", needs)
        if key not in known:
            known[key] = len(nodes)
            nodes.append(Node(job.name, Counter(), [], list(needs), 0.0))
        index = node_of[n] = known[key]
        node = nodes[index]
        node.states[job.status] += 1
        if len(node.jobs) < SHOWN:
            node.jobs.append(job)
        if job.started is not None and job.finished is not None:
            nodes[index] = node._replace(seconds=node.seconds + job.finished - job.started)
    return nodes


def _goes_without(need: Need, needs: Set[Need]) -> bool:
    """Tell whether what else is needed of the same says as much: a result is there after success."""
    return need.condition == SUCCESS and Need(need.node, RESULT) in needs


def _newest(n: int, newer: Mapping[int, int]) -> int:
    while n in newer:
        n = newer[n]
    return n
