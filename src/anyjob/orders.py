"""What passes between the core and a task backend: orders, tickets, observations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from anyjob import _typing as t
from anyjob.resources import Resources
from anyjob.specs import Spec
from anyjob.status import JobStatus


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a type of backend that has none; the base of those that have some."""


NO_OPTIONS: Any = Options()


class Order(msgspec.Struct, kw_only=True, gc=False):
    """One job for the engine.

    Args:
        job_id: ours; usable as an idempotency key. Where a job is run again, the engine is given its next
            attempt under another id, with a directory of its own: what it keeps of one is not the next one's.
        spec: of a kind that the backend accepts.
        resources: what it needs and what it is called.
        environment: variables for the job: those of a `Call` itself are among them, those of a `Command` are
            in its spec.
        options: the ``JobOptions`` of the backend: what the job was told for this engine, and what the
            backend is told for all of its jobs. All orders of one launch share them, and their resources,
            unless the backend ``mixes_resources``, or ``mixes_names``.
        spool: the job's directory, where files are shared; else None.
        attempt: 1, or more where the job runs again.
        kept: other jobs that the engine starts it after by itself, as they have succeeded: by the id of each
            what `TaskBackend.keep_results` gave. Results of theirs stay with the engine, for which there are
            references among the arguments of a call.
        unused: those of these whose results nobody takes.
    """

    job_id: str
    spec: Spec
    resources: Resources
    environment: dict[str, str]
    options: Any = NO_OPTIONS
    spool: t.Path | None = None
    attempt: int = 1
    kept: Mapping[str, Any] = {}
    unused: frozenset[str] = frozenset()


class Ticket(msgspec.Struct, kw_only=True, gc=False):
    """One job that the engine was given.

    Args:
        job_id: ours: that of the order.
        native_id: the engine's.
        submitted: when it was given, in seconds since 1970.
        spool: the job's directory, where files are shared; else None.
    """

    job_id: str
    native_id: str
    submitted: float
    spool: t.Path | None = None


class Observation(msgspec.Struct):
    """What the engine says of one job.

    Args:
        status: where it is.
        reason: where it has failed, why: one of those of `anyjob.Outcome`.
        message: the same, or why it is waiting, in the engine's words.
        queue_position: how many are before it, where the engine tells.
        attempt: which attempt this is, where the engine starts work anew by itself.
        cost: what the job has cost so far, in ``currency``, where the engine tells; it is kept with what came
            of the job, unless its `anyjob.Outcome` has one.
        currency: what the cost is counted in: ``USD``, or a unit of the engine's own, such as ``credits``.
    """

    status: JobStatus
    reason: str | None = None
    message: str = ""
    queue_position: int | None = None
    attempt: int = 1
    cost: float | None = None
    currency: str = ""


class Rejected(msgspec.Struct, frozen=True):
    """The engine will not take this order.

    Args:
        reason: why, in its own words.
        code: the reason of the job's outcome: ``rejected``; or ``missing-module``, where what a call needs
            cannot be imported where it would run.
    """

    reason: str
    code: str = "rejected"


class Unsure(msgspec.Struct, frozen=True):
    """The engine may have the order or not (it did not answer): `find` will tell."""


Answer = str | Rejected | Unsure
"""What `TaskBackend.launch` yields with each order: the engine's id of the job, or what came in its place."""
