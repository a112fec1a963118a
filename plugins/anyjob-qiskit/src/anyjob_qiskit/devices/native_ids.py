"""Native ids of jobs: that of the device's job, and which of its circuits are ours, ``ID[start:stop]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anyjob import Ticket


def device_job_id(native_id: str) -> str:
    """Return the id that the device knows the job by, which several of ours may share."""
    return native_id.partition("[")[0]


def span_of(native_id: str) -> tuple[int, int] | None:
    """Return which circuits of the device's job are this job's; None: all."""
    _, bracket, rest = native_id.partition("[")
    if not bracket:
        return None
    start, _, stop = rest.rstrip("]").partition(":")
    return int(start), int(stop)


def by_device_job(tickets: Sequence[Ticket]) -> Mapping[str, list[Ticket]]:
    """Return the tickets by the id of the device's job."""
    found: dict[str, list[Ticket]] = {}
    for ticket in tickets:
        found.setdefault(device_job_id(ticket.native_id), []).append(ticket)
    return found
