"""Explains a job, whatever state it is in."""

from __future__ import annotations

from anyjob.spool.progress_report import ProgressReport
from anyjob.status import JOB_FINAL_STATES, JobStatus
from anyjob.text.amounts import span
from anyjob.text.units import format_duration
from anyjob.views.explanation.ending import explain_ending
from anyjob.views.explanation.facts import Explanation, Facts
from anyjob.views.explanation.waiting import explain_waiting


def explain(facts: Facts) -> Explanation:
    """Say why a job is where it is, and what can be done about it."""
    state = JobStatus[facts.found["state"]]
    if state in JOB_FINAL_STATES:
        return explain_ending(facts)
    return _explain_running(facts) if state is JobStatus.RUNNING else explain_waiting(facts)


def _explain_running(facts: Facts) -> Explanation:
    found, short = facts.found, facts.short
    ran = facts.seconds("started")
    since = "" if ran is None else f", for {span(ran)}"
    if facts.is_cancelling:
        return Explanation(
            f"is being cancelled: it runs still{since}, until it has ended by itself or was killed"
        )
    if facts.is_paused:
        return Explanation(
            f"is paused{since and f', and started {span(ran or 0.0)} ago'}: its processes stand still",
            ways_out=(f"anyjob resume {short}",),
        )
    why, ways = [], [f"see what it writes: anyjob logs -f {short}"]
    if found["message"]:
        why.append(found["message"])
    if found.get("progress"):
        said = ProgressReport(**found["progress"])
        ago = "" if said.when is None else f", {span(max(0.0, facts.now - said.when))} ago"
        why.append(f"it says: {said.in_words()}{ago}")
    walltime = found["resources"].get("walltime")
    if walltime and ran is not None:
        left = walltime - ran
        why.append(
            f"{span(left)} are left of its walltime of {format_duration(walltime)}"
            if left > 0
            else f"its walltime of {format_duration(walltime)} is over: it is about to be ended"
        )
    usual = facts.alike.longest
    if usual is not None and ran is not None and ran > 2 * usual:
        why.append(f"others like it that are done took {span(usual)} at most")
        ways.append(f"give it up: anyjob cancel {short}")
    return Explanation(
        f"runs{since}" + (f", on {found['host']}" if found["host"] else ""), tuple(why), tuple(ways)
    )
