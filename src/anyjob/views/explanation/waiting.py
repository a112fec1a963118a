"""Why a job does not run yet."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from anyjob.resources import MAX_PRIORITY
from anyjob.text.amounts import size, span
from anyjob.text.full_disk import WAY_OUT
from anyjob.text.units import format_memory
from anyjob.views.explanation.facts import LIMIT, Explanation, Facts, Other

MOST_NAMED = 5
"""Other jobs that are named, at most."""
THE_LIMIT = "the limit of "
THE_ROOM = "room on the disk"
LONG = 60.0
"""Seconds after which a job that could start, and does not, makes one wonder."""


def explain_waiting(facts: Facts) -> Explanation:
    """Say what keeps a job from running that has not started."""
    found, short = facts.found, facts.short
    since = span(facts.seconds("submitted") or 0.0)
    if facts.is_cancelling:
        return Explanation(f"is being cancelled, and has not ended yet; it has waited for {since}")
    if facts.elsewhere:
        return Explanation(
            f"is on host {facts.elsewhere}, and only there it is run and told of",
            (f"the queue of {found['backend']} belongs to that host; this one reads its ledger only",),
            (f"log in to {facts.elsewhere} and ask there: anyjob explain {short}",),
        )
    if facts.due is not None:
        of = f" of {facts.attempts}" if facts.attempts else ""
        return Explanation(
            f"has failed, and goes again in {facts.due:.0f} s: attempt {found['attempt']}{of}",
            facts.before,
            (f"give it up: anyjob cancel {short}",),
        )
    if facts.is_released:
        return Explanation(
            f"is about to be handed to {found['backend']}: all that it starts after has ended",
            ("the releaser of the host that it was submitted on does that",),
            ("anyjob doctor",),
        )
    if facts.is_held:
        return Explanation(
            f"is held, for {since}: it does not start before it is released",
            ways_out=(f"anyjob release {short}",),
        )
    if facts.waits_for:
        return _after_others(facts)
    if facts.there:
        return _in_our_queue(facts, since)
    if facts.told_there is not None:
        told = facts.told_there
        return told._replace(headline=f"waits on {found['backend']}: {told.headline}")
    said = found["message"]
    position = found["queue_position"]
    why = [f"position {position} in the queue"] if position else []
    if not said:
        why.append(f"{found['backend']} does not say why")
    return Explanation(
        f"has waited for {since} on {found['backend']}" + (f": {said}" if said else ""),
        (*why, *_asked(facts)),
        (f"anyjob wait {short} waits with you; anyjob cancel {short} gives it up",),
    )


def _after_others(facts: Facts) -> Explanation:
    others = facts.waits_for
    many = f"{len(others)} jobs" if len(others) > 1 else "another job"
    ways = [f"anyjob explain {other.job_id[:8]}" for other in others if other.state != "RUNNING"]
    return Explanation(
        f"may not start before {many} {'have' if len(others) > 1 else 'has'} ended",
        tuple(_named(others)),
        tuple(ways[:1]),
    )


def _in_our_queue(facts: Facts, since: str) -> Explanation:
    position = facts.found["queue_position"]
    missing = list(_missing(facts))
    backend, short = facts.found["backend"], facts.short
    ahead = f"{position - 1} job{'s' if position != 2 else ''} before it" if position and position > 1 else ""
    ways = []
    if missing:
        what = "waits for " + " and ".join(name for name, _ in missing)
        why = [line for _, line in missing] + list(_named(facts.running))
        if any(name == THE_ROOM for name, _ in missing):
            ways.append(WAY_OUT)
        if any(name == "a slot" for name, _ in missing):
            ways.append(f"more at a time: anyjob backends set {shlex.quote(backend)} slots=N")
        if limited := [name for name, _ in missing if name.startswith(THE_LIMIT)]:
            ways.append(f"more at a time: anyjob limit{_arguments(limited[0].removeprefix(THE_LIMIT))} N")
    elif ahead:
        what, why = "waits for its turn", list(_named(facts.running))
    elif (facts.seconds("submitted") or 0.0) < LONG:
        what, why = "is about to start", []
    else:
        what = "could start, and does not"
        why = ["there is room for it, and nothing is before it: whoever keeps the queue may be gone"]
        ways.append("anyjob doctor")
    if ahead:
        why.insert(0, f"position {position} in the queue: {ahead}")
        more = min((facts.found["resources"].get("priority") or 0) + 10, MAX_PRIORITY)
        ways.insert(0, f"sooner: anyjob priority {short} {more}")
    return Explanation(f"{what}; it has waited for {since} on {backend}", tuple(why), tuple(ways))


def _missing(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield what there is not enough of now, with the figures."""
    for name, there in facts.there.items():
        asked = facts.takes.get(name, 0)
        taken = sum(other.takes.get(name, 0) for other in facts.running)
        if not asked or taken + asked <= there:
            continue
        if name.startswith(LIMIT):
            label = name.removeprefix(LIMIT)
            yield f"{THE_LIMIT}{label}", f"{there:g} of {label} may run at a time, and {taken:g} do"
            continue
        of = "" if name in ("cpus", "gpus") else "of "
        what = "a slot" if name == "cpus" and asked == 1 else f"{amount(name, asked)} {of}{name}"
        slots = "slots" if name == "cpus" else f"of {name}"
        yield (
            what,
            f"{amount(name, taken)} of {amount(name, there)} {slots} are taken by "
            f"{_count(sum(1 for other in facts.running if other.takes.get(name)))}, "
            f"and it takes {amount(name, asked)}",
        )
    needed, free = facts.room
    if needed > free:
        told = f"the large files that go with it take {size(needed)}, and {size(free)} are free"
        yield THE_ROOM, f"{told} on the disk of {facts.found['spool']}"


def _arguments(label: str) -> str:
    return f" --tag {label.removeprefix('tag:')}" if label.startswith("tag:") else f" {label}"


def _count(jobs: int) -> str:
    return f"{jobs} job{'' if jobs == 1 else 's'}"


def amount(name: str, value: float) -> str:
    """Return so much of what is called so, for a person."""
    return format_memory(int(value)) if name == "memory" else f"{value:g}"


def _named(others: tuple[Other, ...]) -> Iterator[str]:
    for other in others[:MOST_NAMED]:
        name = f" ({other.name})" if other.name else ""
        ran = f" for {span(other.seconds)}" if other.seconds is not None else ""
        yield f"{other.job_id[:8]}{name}, {other.state}{ran}"
    if len(others) > MOST_NAMED:
        yield f"… and {len(others) - MOST_NAMED} more"


def _asked(facts: Facts) -> Iterator[str]:
    asked = ", ".join(f"{name} {amount(name, value)}" for name, value in facts.takes.items())
    if asked:
        yield f"it asks for {asked}"
