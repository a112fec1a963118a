"""What came of a job that has ended, by its reason: what that means, and what can be done about it."""

from __future__ import annotations

import signal
from collections.abc import Callable

from anyjob.text.amounts import size, span
from anyjob.text.units import format_duration, format_memory
from anyjob.views.explanation.facts import Explanation, Facts
from anyjob.views.explanation.short_calls import WAY_OUT, usual_if_many_and_short

Ending = tuple[list[str], list[str]]
"""More of why, and the ways out."""
OFTEN = 2
"""Failures of the same kind from which on they are more than a chance."""
_NATIVE = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")
_FROM_OUTSIDE = ("SIGTERM", "SIGHUP", "SIGINT")
MIB = 1 << 20


def explain_ending(facts: Facts) -> Explanation:
    """Say why a job has ended as it has."""
    found = facts.found
    took = facts.seconds("started", "finished")
    after = "" if took is None else f" after {span(took)}"
    if found["state"] == "DONE":
        usual = _usual_of_short_calls(facts)
        why = [*_wasted(facts), *([f"calls like it take {usual}"] if usual else ())]
        return Explanation(f"has succeeded{after}", tuple(why), (WAY_OUT,) if usual else ())
    if found["state"] == "CANCELLED":
        return Explanation(f"was cancelled{after}", ways_out=(_superseded(facts) or _rerun(facts),))
    reason = found["reason"] or ""
    meaning, tell = _REASONS.get(reason, ("failed", _unknown))
    why, ways = tell(facts)
    said = found["message"]
    if said and all(said not in line for line in why):
        why.insert(0, said)
    return Explanation(
        f"failed{after}, reason {reason or 'unknown'}: {meaning}",
        (*why, *_attempts(facts), *_like_others(facts)),
        (newer,) if (newer := _superseded(facts)) else tuple(ways),
    )


def _attempts(facts: Facts) -> list[str]:
    if not facts.before:
        return []
    of = f" of {facts.attempts}" if facts.attempts else ""
    return [f"it was attempt {facts.found['attempt']}{of}", *facts.before]


def _superseded(facts: Facts) -> str:
    newer = facts.found["superseded_by"]
    return f"it was run anew since, as {newer[:8]}: anyjob explain {newer[:8]}" if newer else ""


def _rerun(facts: Facts, when: str = "") -> str:
    return f"run it anew{when}: anyjob rerun {facts.short}"


def _wasted(facts: Facts) -> list[str]:
    """Say what was asked for, and not used."""
    asked, found = facts.found["resources"], facts.found
    lines = []
    if found["peak_memory"] and asked.get("memory", 0) > 4 * found["peak_memory"]:
        lines.append(
            f"it needed {size(found['peak_memory'])} of the {format_memory(asked['memory'])} it asked for"
        )
    took, cpus = facts.seconds("started", "finished"), asked.get("cpus") or 1
    if (
        took
        and took > 10
        and cpus > 1
        and found["cpu_time"] is not None
        and found["cpu_time"] < took * cpus / 2
    ):
        lines.append(f"it kept {found['cpu_time'] / took:.1f} of the {cpus} cpus busy that it asked for")
    return lines


def _usual_of_short_calls(facts: Facts) -> str:
    found = facts.found
    needs_own_process = {"memory", "gpus", "tasks", "signal_before"} & set(found["resources"])
    if found.get("backend_type") != "local" or found.get("kind") != "python" or needs_own_process:
        return ""
    return usual_if_many_and_short(found["backend_options"], facts.alike.seconds)


def _like_others(facts: Facts) -> list[str]:
    """Say how others like it have fared, where that tells more of it."""
    alike = facts.alike
    if not alike.jobs:
        return []
    name = facts.found["name"]
    of = f"of the name {name}" if name else f"without a name on {facts.found['backend']}"
    failed = len(alike.failed)
    lines = [
        f"within the week, of {alike.jobs} other jobs {of} {failed} failed for this reason, "
        f"and {alike.done} are done"
    ]
    if failed >= OFTEN and alike.hosts:
        host, count = alike.hosts[0]
        if count == failed and facts.found["host"] == host:
            lines.append(f"all of these ran on {host}, as this one did")
    if failed:
        lines.append(f"the last of them: {', '.join(each[:8] for each in alike.failed[:3])}")
    return lines


def _exit_code(facts: Facts) -> Ending:
    code, short = facts.found["exit_code"], facts.short
    logs = f"read what it wrote: anyjob logs {short}"
    if code == 127 and facts.found.get("kind") == "python":
        return [
            "127: the Python that was to run the call was not found: its environment was removed, or moved"
        ], [
            _rerun(facts, " with the Python of an environment that is there"),
            "or make that one again; where the option `python` of the backend names it, mend that",
        ]
    if code == 127:
        return ["127: the program was not found where it ran"], [
            f"name it by its whole path, or give it a PATH: anyjob show {short} has its command and directory"
        ]
    if code == 126:
        return ["126: the program is there, and cannot be executed"], [
            "make it executable (chmod +x), or start it by its interpreter"
        ]
    if code is not None and 128 < code < 128 + 65:
        name = _signal_name(code - 128)
        why, ways = _by_signal(name, facts)
        return [f"{code} is how a shell says that {name} ended what it had started", *why], [logs, *ways]
    return [], [logs, _rerun(facts, " once that is mended")]


def _exception(facts: Facts) -> Ending:
    frames = [
        line.strip() for line in facts.found["traceback"].splitlines() if line.lstrip().startswith("File ")
    ]
    where = [f"raised at {frames[-1]}"] if frames else []
    return where, [
        f"the whole traceback: anyjob show {facts.short} --json",
        _rerun(facts, " once that is mended"),
    ]


def _missing_module(facts: Facts) -> Ending:
    python = facts.found["python"]
    ways = ["install it for that interpreter, or set the option `python` of the backend to one that has it"]
    if python:
        ways.insert(0, f"see what that one can import: {python} -c 'help(\"modules\")'")
    return ([f"the interpreter that ran it: {python}"] if python else []), [*ways[::-1], _rerun(facts)]


def _signal(facts: Facts) -> Ending:
    number = facts.found["signal"]
    return _by_signal(_signal_name(number) if number else "a signal", facts)


def _by_signal(name: str, facts: Facts) -> Ending:
    peak = facts.found["peak_memory"]
    if name == "SIGKILL":
        used = f"; it had {size(peak)} at its most" if peak else ""
        return [f"SIGKILL is what the system sends where memory runs out, unless somebody sent it{used}"], [
            "see the system's log: journalctl -k | grep -i oom",
            f"ask for what it needs: anyjob rerun {facts.short} --memory {_more_memory(facts)}",
        ]
    if name in _NATIVE:
        return [f"{name}: native code has crashed, and not Python's own"], [
            "have Python say where: PYTHONFAULTHANDLER=1 in its environment",
            f"read what it wrote: anyjob logs {facts.short}",
        ]
    if name in _FROM_OUTSIDE:
        return [f"{name} came from outside: somebody, a logout, or a machine that shuts down"], [
            _rerun(facts)
        ]
    return [], [f"read what it wrote: anyjob logs {facts.short}", _rerun(facts)]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _walltime(facts: Facts) -> Ending:
    asked = facts.found["resources"].get("walltime")
    took = facts.seconds("started", "finished") or 0.0
    longest = facts.alike.longest
    limit = asked or took
    why = (
        [f"it asked for {format_duration(asked)}"]
        if asked
        else ["it asked for no walltime: its queue has one"]
    )
    if longest is not None:
        why.append(f"others like it that are done took {span(longest)} at most")
    more = format_duration(_rounded(max(2 * limit, 1.5 * (longest or 0.0))))
    return why, [
        f"give it longer: anyjob rerun {facts.short} --walltime {more}",
        "or have it write where it was, and go on from there",
    ]


def _rounded(seconds: float) -> float:
    """Return some more seconds, as a person writes them: whole minutes, where there are some."""
    step = 60 if seconds > 120 else 1
    return float(-(-int(seconds + 0.999) // step) * step)


def _memory(facts: Facts) -> Ending:
    asked, peak = facts.found["resources"].get("memory"), facts.found["peak_memory"]
    why = (
        [f"it asked for {format_memory(asked)}" + (f", and had {size(peak)} at its most" if peak else "")]
        if asked
        else []
    )
    if facts.alike.largest is not None:
        why.append(f"others like it that are done needed {size(facts.alike.largest)} at most")
    return why, [f"give it more: anyjob rerun {facts.short} --memory {_more_memory(facts)}"]


def _more_memory(facts: Facts) -> str:
    asked = facts.found["resources"].get("memory") or 0
    needed = max(2 * asked, 2 * (facts.found["peak_memory"] or 0), facts.alike.largest or 0, 256 * MIB)
    return format_memory(-(-needed // (256 * MIB)) * 256 * MIB)


def _node_failure(facts: Facts) -> Ending:
    host = facts.found["host"]
    return ([f"it ran on {host}"] if host else []), [
        _rerun(facts, ", while the engine leaves that machine alone")
    ]


def _lost(facts: Facts) -> Ending:
    spool = facts.found["spool"]
    ways = [_rerun(facts, ", if it does no harm twice: that is never done by itself")]
    if spool:
        ways.insert(0, f"see how far it has come: {spool}")
    return ["whether it ran to its end is not known"], [
        *ways,
        "restartable=True has anyjob run such a job anew",
    ]


def _rejected(facts: Facts) -> Ending:
    asked = ", ".join(f"{name} {value}" for name, value in facts.found["resources"].items())
    return ([f"it asked for {asked}"] if asked else []), [
        f"see what the backend takes: anyjob backends show {facts.found['backend']}",
        f"ask for something else: anyjob rerun {facts.short} --cpus …",
    ]


def _dependency(facts: Facts) -> Ending:
    cause = facts.cause
    if cause is None:
        return [], [f"see what it was to start after: anyjob show {facts.short}"]
    called = f"{cause.job_id[:8]} ({cause.name})" if cause.name else cause.job_id[:8]
    return [f"the first cause is {called}, {cause.state}"], [
        f"see why: anyjob explain {cause.job_id[:8]}",
        f"run both anew, and what is between: anyjob rerun {cause.job_id[:8]} --downstream",
    ]


def _unknown(facts: Facts) -> Ending:
    return [], [f"read what it wrote: anyjob logs {facts.short}", _rerun(facts)]


_REASONS: dict[str, tuple[str, Callable[[Facts], Ending]]] = {
    "exit-code": ("its program ended with another exit code than 0", _exit_code),
    "exception": ("the call raised an exception", _exception),
    "missing-module": ("what it needs cannot be imported where it ran", _missing_module),
    "signal": ("a signal ended it that anyjob had not sent", _signal),
    "walltime": ("it ran for longer than it may", _walltime),
    "memory": ("it took more memory than it may", _memory),
    "node-failure": ("the machine that it ran on failed", _node_failure),
    "lost": ("nobody knows what became of it", _lost),
    "rejected": ("the engine would not take it", _rejected),
    "dependency": ("what it was to start after did not come about; it never started", _dependency),
}
"""Of each reason what it means, and what tells more of it."""
