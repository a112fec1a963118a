"""What a configuration may say of a batch scheduler, and what of that cannot be."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from anyjob.batch.options import BatchJobOptions
from anyjob.retry import REASONS
from anyjob.text.suggestions import did_you_mean

FLAGS = (
    *("cpus", "memory", "gpus", "nodes", "walltime", "array", "throttle", "single"),
    *("restartable", "not_restartable"),
)
NUMBERS = ("cpus", "nodes")
"""What each job has a number of, whatever is asked for."""
PLACEHOLDERS = {
    "submit": {"name", "script", "quoted_script", *FLAGS},
    "flags": {
        "name",
        "cpus",
        "memory_mb",
        "memory_kb",
        "gpus",
        "nodes",
        "seconds",
        "minutes",
        "hms",
        "tasks",
        "last",
        "throttle",
    },
    "listing": {"user"},
    "cancel": {"ids"},
    "history": {"user", "jobs"},
    "why": {"job"},
    "task_id": {"job", "task"},
    "task_range": {"job", "first", "last"},
}
"""What may stand in braces in each option."""
STATES = ("QUEUED", "RUNNING", "DONE", "CANCELLED", "ERROR", "STUCK")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATTERN = re.compile(r"[A-Za-z0-9_*?]+")

Words = tuple[str, ...]


def _about(text: str) -> Any:
    return msgspec.Meta(description=text)


class BatchTypeJobOptions(BatchJobOptions, frozen=True):
    """What one job may be told: ``options={"batch": {"extra": ["-q", "long"]}}``."""


FIELDS: tuple[tuple[Any, ...], ...] = (
    ("submit", Annotated[Words, _about('the program that submits a script: ["bsub", "-J", "{name}"]')]),
    ("id", Annotated[str, _about("a regular expression that finds the id in its answer: its first group")]),
    ("listing", Annotated[Words, _about('the program that lists jobs: ["qstat", "-u", "{user}"]')]),
    (
        "row",
        Annotated[str, _about("a regular expression with groups job, state, name, tasks: one of its jobs")],
    ),
    ("states", Annotated[dict[str, str], _about("its words for states, and ours: QUEUED, RUNNING, DONE …")]),
    ("cancel", Annotated[Words, _about('the program that ends jobs: ["qdel", "{ids}"]')]),
    ("job_variable", Annotated[str, _about("the variable of a job that tells its id")]),
    ("title", Annotated[str, _about("what messages call it")], "the scheduler"),
    (
        "flags",
        Annotated[
            dict[str, Words | str],
            _about(
                "arguments for what jobs need, or a text for its place in `submit`: cpus, memory, array …"
            ),
        ],
        {},
    ),
    ("task_variable", Annotated[str, _about("the variable that tells the number of a task")], ""),
    (
        "first_task",
        Annotated[int, msgspec.Meta(ge=0, description="the number of an array's first task")],
        0,
    ),
    ("array_limit", Annotated[int, msgspec.Meta(ge=1, description="tasks that an array may have")], 1000),
    (
        "task_id",
        Annotated[str, _about("how the id of a task is written; empty: `id` finds one for each")],
        "{job}_{task}",
    ),
    ("task_range", Annotated[str, _about("how several tasks are written to be ended")], ""),
    ("history", Annotated[Words, _about("the program that tells of jobs that have ended")], ()),
    (
        "record",
        Annotated[str, _about("a regular expression for each: job, state, cause, exit_code, signal, name …")],
        "",
    ),
    ("why", Annotated[Words, _about("the program that says why a job is stuck")], ()),
    ("why_text", Annotated[str, _about("a regular expression for the reason in that: its first group")], ""),
    ("away", Annotated[Words, _about("what programs print where nothing was done, for an outage")], ()),
    ("unsure", Annotated[Words, _about("what they print where something may have been done")], ()),
    ("denied", Annotated[Words, _about("what they print where we are not believed")], ()),
    ("nothing", Annotated[Words, _about("what they print where there is nothing to list")], ()),
    ("too_large", Annotated[Words, _about("what is printed of an array that has too many tasks")], ()),
    ("foreign", Annotated[Words, _about("variables of an enclosing job, which are left out: LSB_*")], ()),
    ("end_signals", Annotated[Words, _about("signals that announce the end of a job: USR2")], ()),
    ("ignored_signals", Annotated[Words, _about("signals that mean nothing to the work: USR1")], ()),
    (
        "reserved_exit_codes",
        Annotated[
            tuple[Annotated[int, msgspec.Meta(ge=1, le=255)], ...], _about("exit codes that start a job anew")
        ],
        (),
    ),
    (
        "requeue",
        Annotated[
            tuple[int | str, ...],
            _about('how a job has itself started anew: an exit code, and a program: [0, "requeue", "$ID"]'),
        ],
        (),
    ),
    ("forgets_deleted", Annotated[bool, _about("whether a deleted job that waited leaves no record")], False),
)


class Checked(BatchTypeJobOptions, frozen=True):
    """Sees to it that what is said goes together."""

    def check(self) -> None:
        """Refuse what cannot work, and say what would."""
        said: Any = self
        for option, names in PLACEHOLDERS.items():
            value = getattr(said, option)
            texts = value.values() if isinstance(value, dict) else [value]
            for text in (text for some in texts for text in ([some] if isinstance(some, str) else some)):
                for name in re.findall(r"\{(\w*)\}", text):
                    if name not in names:
                        known = ", ".join(f"{{{each}}}" for each in sorted(names))
                        raise ValueError(f"{option}: there is no {{{name}}}; there are {known}")
        for option in ("submit", "listing", "cancel"):
            if not "".join(getattr(said, option)[:1]):
                raise ValueError(f"{option}: it names no program")
        if "{ids}" not in said.cancel:
            raise ValueError('cancel: it has no argument "{ids}", in whose place the ids of the jobs are put')
        for option in ("task_id", "task_range"):
            for name in sorted(PLACEHOLDERS[option]) if getattr(said, option) else ():
                if f"{{{name}}}" not in getattr(said, option):
                    raise ValueError(f"{option}: it has no {{{name}}}, so that all tasks would have one id")
        _check_names(said)
        for option, needed in (("id", ()), ("row", ("job", "state")), ("record", ("job",)), ("why_text", ())):
            _check_expression(option, getattr(said, option), needed)
        for word, state in said.states.items():
            if state.partition(":")[0] not in STATES:
                raise ValueError(f"states: {word!r} is {state!r}, which is none of {', '.join(STATES)}")
            name, colon, reason = state.partition(":")
            if colon and (name != "ERROR" or reason not in REASONS):
                ours = ", ".join(f"ERROR:{each}" for each in REASONS)
                raise ValueError(f"states: {word!r} is {state!r}: what has a reason is one of {ours}")
        for flag in said.flags:
            if flag not in FLAGS:
                raise ValueError(f"flags: there is no {flag!r}; there are {', '.join(FLAGS)}")
        for flag in FLAGS:
            has_place = any(f"{{{flag}}}" in text for text in said.submit)
            is_text = isinstance(said.flags.get(flag), str)
            if is_text and not has_place:
                raise ValueError(f"flags: {flag} is a text, and `submit` has no {{{flag}}}, where to put it")
            if has_place and not is_text and (flag not in NUMBERS or flag in said.flags):
                raise ValueError(f'submit: what {{{flag}}} stands for has to be a text: flags.{flag} = "…"')
        if bool(said.task_variable) is not ("array" in said.flags):
            raise ValueError("an array needs both, `task_variable` and `flags.array`: one of them is missing")
        code, *command = said.requeue or (0,)
        if not isinstance(code, int) or not all(isinstance(word, str) for word in command):
            raise ValueError(
                "requeue: it is an exit code and, where that is not enough, a program with arguments: [99]"
            )
        if bool(said.history) is not bool(said.record):
            raise ValueError("a history needs both, `history` and `record`: one of them is missing")


def _check_names(said: Any) -> None:
    """Refuse names that a script of bash, or Python, does not know as such."""
    for option in ("job_variable", "task_variable"):
        name = getattr(said, option)
        if not (_VARIABLE.fullmatch(name) or (option == "task_variable" and not name)):
            raise ValueError(f"{option}: {name!r} is no name of a variable: LSB_JOBID")
    for pattern in said.foreign:
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(f"foreign: {pattern!r} is no name of variables, in which * may stand: LSB_*")
    known = [each.name.removeprefix("SIG") for each in signal.Signals]
    for option in ("end_signals", "ignored_signals"):
        for name in getattr(said, option):
            if name not in known:
                meant = did_you_mean(name.upper().removeprefix("SIG"), known)
                raise ValueError(f"{option}: {name!r} is no signal{meant}")


def _check_expression(option: str, text: str, needed: Sequence[str]) -> None:
    try:
        found = re.compile(text)
    except re.error as error:
        raise ValueError(f"{option}: {text!r} is no regular expression: {error}") from None
    for name in needed if text else ():
        if name not in found.groupindex:
            raise ValueError(f"{option}: {text!r} has no group (?P<{name}>…)")
    if text and not found.groups:
        raise ValueError(f"{option}: {text!r} has no group, (…), around what is looked for")
