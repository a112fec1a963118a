"""What is said when jobs have ended: a pure function of what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from anyjob.text.amounts import span
from anyjob.text.printable import printable, shortened
from anyjob.views.report.figures import Failure, failures
from anyjob.views.reported_job import ReportedJob

MOST_FAILURES = 5
"""Kinds of failures that are told, at most: the most frequent."""
LONGEST_TITLE = 80
LONGEST_MESSAGE = 200
LAST_LINES = 3
_WORDS = {"DONE": "done", "ERROR": "failed", "CANCELLED": "cancelled"}


class Message(NamedTuple):
    """What is said.

    Args:
        subject: a line.
        text: more, in lines; empty where the subject says it all.
        fields: the same as data.
    """

    subject: str
    text: str
    fields: dict[str, Any]

    @property
    def whole(self) -> str:
        """All of it, as text."""
        return f"{self.subject}\n{self.text}".rstrip("\n")


def message(title: str, jobs: Sequence[ReportedJob], words: Mapping[str, Sequence[str]] = {}) -> Message:
    """Return what is said of jobs.

    Args:
        title: what they are called.
        jobs: those that have ended; one that has not is counted by its state.
        words: the last lines that some of them wrote, by id.
    """
    title = shortened(printable(title), LONGEST_TITLE)
    states = Counter(job.state for job in jobs)
    took = _took(jobs)
    counts = [(states[state], _WORDS[state]) for state in _WORDS if states[state]]
    counts += [(count, state.lower()) for state, count in sorted(states.items()) if state not in _WORDS]
    if not jobs:
        said = "the jobs are forgotten"
    elif len(jobs) == 1:
        said = counts[0][1]
    elif states["DONE"] == len(jobs):
        said = f"all {len(jobs)} jobs done"
    else:
        said = ", ".join(f"{count} {word}" for count, word in counts) + f" of {len(jobs)} jobs"
    found = failures(jobs)
    more = [f"and {len(found) - MOST_FAILURES} more kinds of failures"] if len(found) > MOST_FAILURES else []
    lines = [line for each in found[:MOST_FAILURES] for line in _lines(each, words, len(jobs))]
    return Message(
        f"{title}: {said}" + ("" if took is None else f" in {span(took)}"),
        "\n".join([*lines, *more]),
        {
            "title": title,
            "jobs": len(jobs),
            "states": dict(sorted(states.items())),
            "seconds": None if took is None else round(took, 3),
            "failures": [
                {
                    "reason": each.reason,
                    "message": _brief(each.message),
                    "jobs": len(each.jobs),
                    "job_id": each.jobs[-1].job_id,
                    "last_words": _last(each, words),
                }
                for each in found[:MOST_FAILURES]
            ],
        },
    )


def _took(jobs: Sequence[ReportedJob]) -> float | None:
    """Return the seconds from the first start to the last end."""
    starts = [job.started for job in jobs if job.started is not None]
    ends = [job.finished for job in jobs if job.started is not None and job.finished is not None]
    return max(0.0, max(ends) - min(starts)) if ends else None


def _lines(failure: Failure, words: Mapping[str, Sequence[str]], of_all: int) -> Iterator[str]:
    count = f", {len(failure.jobs)} jobs" if len(failure.jobs) > 1 else ""
    said = f": {_brief(failure.message)}" if failure.message else ""
    yield f"{failure.reason or 'failed'}{count}{said}"
    name = "" if of_all == 1 else f"{failure.jobs[-1].job_id}: "
    for line in _last(failure, words):
        yield f"    {name}{line}"


def _last(failure: Failure, words: Mapping[str, Sequence[str]]) -> list[str]:
    return [_brief(line) for line in words.get(failure.jobs[-1].job_id, ())[-LAST_LINES:]]


def _brief(text: str) -> str:
    return shortened(printable(text.partition("\n")[0]), LONGEST_MESSAGE)
