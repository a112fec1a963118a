"""Why jobs failed, on stderr: each reason once, with how often and an example."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anyjob.cli.jobs.operations import failure_of
from anyjob.cli.terminal.output import print_error, print_message
from anyjob.errors import CommandFailedError
from anyjob.jobtypes import CommandJob
from anyjob.outcome import Outcome
from anyjob.taskjob import TaskJob

MOST_FAILURES = 10
"""Different failures that are shown."""


def reason_of(job: Any, outcome: Outcome) -> str:
    """Return in a line or two why a job failed."""
    error = failure_of(job)
    if isinstance(error, CommandFailedError):
        last = error.stderr.strip().splitlines()[-1:]
        return "\n".join([outcome.message or f"exit code {error.exit_code}", *last])
    if outcome.reason == "exception" and error is not None:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return outcome.message or outcome.reason or "no reason known"


def print_reasons(failed: Iterable[tuple[str, str]], rest: str) -> None:
    """Say why jobs failed.

    Args:
        failed: of each, what tells it from the others, and why.
        rest: where those are told that are not shown, since there are too many kinds.
    """
    by_reason: dict[str, list[str]] = {}
    for label, why in failed:
        by_reason.setdefault(why, []).append(label)
    for why, labels in list(by_reason.items())[:MOST_FAILURES]:
        example = f" ({labels[0]})" if labels[0] else ""
        many = f"{len(labels)} jobs failed, the first" if len(labels) > 1 else "a job failed"
        print_error(f"{many}{example}: " + "\n  ".join(why.splitlines()))
    if len(by_reason) > MOST_FAILURES:
        print_message(f"and {len(by_reason) - MOST_FAILURES} failures of other kinds: {rest}")


def print_failures_of(jobs: Iterable[Any], outcomes: Iterable[Outcome]) -> None:
    """Say why those of some jobs failed that did; of programs, with the end of what they wrote.

    What never started since another failed goes last: that other one is the cause. No result is read but that
    of one program for each reason, since these may be many.
    """
    failed = [pair for pair in zip(jobs, outcomes, strict=True) if pair[1].status.name == "ERROR"]
    failed.sort(key=lambda pair: pair[1].reason == "dependency")
    whys: dict[str, str] = {}
    told = []
    for job, outcome in failed:
        key = outcome.message or outcome.reason or "no reason known"
        if key not in whys:
            whys[key] = reason_of(job, outcome) if isinstance(job, CommandJob) else key
        name = job.metadata()["name"] if isinstance(job, TaskJob) else ""
        told.append((f"{job.job_id()[:8]} {name}".rstrip(), whys[key]))
    print_reasons(told, "`anyjob jobs --state failed --columns id,name,message` tells them all")
