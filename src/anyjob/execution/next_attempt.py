"""What follows from the end of an attempt of a job: whether there is another, when, with what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from anyjob.retry import LONGEST, MOST_TIMES, TOPS, Retry
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.outcome import Outcome
    from anyjob.resources import Resources

Kind = Literal["retry", "requeue", "lost", "dependency"]
"""Why there was another attempt: by its policy; at its walltime; it was lost, and may run twice; or it has
not run, since its engine could not start it after others, and it can be."""


class Again(NamedTuple):
    """A job runs again: why, and after how many seconds."""

    kind: Kind
    wait: float


def next_attempt(
    resources: Resources,
    history: Sequence[str],
    outcome: Outcome,
    *,
    restarts: bool = False,
    chance: float = 0.5,
) -> Again | None:
    """Return whether a job runs again after this end of an attempt; None where it does not.

    Args:
        resources: what it was given, its policy among it.
        history: why it has run again before, of each time.
        outcome: what came of the attempt.
        restarts: whether one that is ``restartable`` runs again where it was lost, whatever its policy.
        chance: a number from 0 to 1, for the jitter.
    """
    if outcome.status is not JobStatus.ERROR or len(history) >= MOST_TIMES:
        return None
    if outcome.reason == "walltime" and resources.on_walltime == "requeue":
        return Again("requeue", 0.0)
    if outcome.reason == "lost" and not resources.restartable:
        return None
    policy, before = resources.retries, sum(kind == "retry" for kind in history)
    if outcome.reason == "lost" and restarts:
        return Again("lost", 0.0)
    if policy is None or before >= policy.times or not policy.covers(outcome):
        return None
    return Again("retry", wait_before(policy, before, chance))


def wait_before(policy: Retry, before: int, chance: float) -> float:
    """Return the seconds until the next attempt, after so many retries."""
    if not policy.wait:
        return 0.0
    exponent = math.log(policy.wait) + before * math.log(policy.backoff)
    wait = math.exp(exponent) if exponent < math.log(LONGEST) else LONGEST
    return float(min(LONGEST, wait * (1 + policy.jitter * min(1.0, max(0.0, chance)))))


def still_to_wait(due: float, wait: float, now: float) -> float:
    """Return the seconds until an attempt is due: by the clock, but for one that was set back.

    Args:
        due: when it is, in seconds since 1970.
        wait: how long it was to wait when that was written.
        now: the time by a clock that may have been set meanwhile.
    """
    return min(max(0.0, due - now), wait)


def grown(resources: Resources, retried: int) -> Resources:
    """Return what a job gets for an attempt after so many retries."""
    policy = resources.retries
    if policy is None or not policy.grow or not retried:
        return resources
    more = {}
    for name, factor in policy.grow.items():
        asked = getattr(resources, name)
        if asked is None:
            continue
        top = policy.most.get(name, TOPS[name])
        is_more = math.log(asked) + retried * math.log(factor) >= math.log(top)  # the power might overflow
        value = top if is_more else asked * factor**retried
        more[name] = max(asked, value if name == "walltime" else math.ceil(value))
    return msgspec.structs.replace(resources, **more)
