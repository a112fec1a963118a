"""The words of a batch scheduler, as a configuration says them. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from anyjob.batch.dialect import Dialect, Row, Submission
from anyjob.builtin.configured_batch.options import FLAGS, NUMBERS
from anyjob.status import JobStatus

_NUMBER = re.compile(r"\d+")
_TASKS = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_SEPARATOR = "\x1f"


class ConfiguredDialect(Dialect):
    """A dialect by what a configuration says."""

    def __init__(self, options: Any) -> None:
        self._said = said = options
        self.title = said.title
        self.job_variables = (said.job_variable,)
        self.task_variable, self.first_task = said.task_variable, said.first_task
        self.throttles = "throttle" in said.flags
        self.array_limit = said.array_limit if said.task_variable else None
        self.away, self.unsure, self.denied = said.away, said.unsure, said.denied
        self.nothing, self.too_large = said.nothing, said.too_large
        self.foreign_variables = (*said.foreign, said.job_variable, *filter(None, [said.task_variable]))
        self.job_owns = (*self.foreign_variables, "*_VISIBLE_DEVICES")
        self.end_signals, self.ignored_signals = said.end_signals, said.ignored_signals
        self.reserved_exit_codes = said.reserved_exit_codes
        self.forgets_deleted = said.forgets_deleted
        self.requeue = said.requeue
        self.script_file = any(_takes_script(text) for text in said.submit)
        escaped = re.escape(said.task_id).replace(r"\{job\}", "(.+)").replace(r"\{task\}", r"(\d+)")
        self._task_id = re.compile(escaped)

    def submit(self, what: Submission) -> list[str]:
        """Fill in what is asked for. What no flag is there for is refused."""
        needs, flags = what.resources, self._said.flags
        count = what.tasks or 1
        values: dict[str, Any] = {"tasks": count, "last": self.first_task + count - 1}
        values["throttle"] = what.options.throttle
        wanted = ["restartable" if needs.restartable or needs.on_walltime else "not_restartable"]
        throttle = what.options.throttle
        wanted.append("single" if what.tasks is None else "throttle" if throttle else "array")
        if what.walltime is not None:
            seconds = max(1, ceil(what.walltime))
            minutes = ceil(seconds / 60)
            hms = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
            values |= {"seconds": seconds, "minutes": minutes, "hms": hms}
            wanted += ["walltime"] if "walltime" in flags else []  # we keep to it anyhow
        if needs.memory is not None:
            values |= {"memory_mb": ceil(needs.memory / 2**20), "memory_kb": ceil(needs.memory / 2**10)}
            wanted.append("memory")
        for name, one in (("cpus", 1), ("nodes", 1), ("gpus", 0)):
            if (number := getattr(needs, name)) not in (None, one):
                values[name] = number
                wanted.append(name)
        values |= {"name": what.name, "cpus": needs.cpus or 1, "nodes": needs.nodes or 1}
        places = dict.fromkeys(FLAGS, "") | {name: values[name] for name in NUMBERS}
        more: list[str] = []
        for name in wanted:
            flag = flags.get(name)
            if isinstance(flag, str):
                places[name] = filled([flag], values)[0]
            elif flag is not None:
                more += filled(flag, values)
            elif not (name in ("single", "restartable", "not_restartable") or self._counts(name)):
                raise ValueError(f"{name}: the configuration says no arguments for it (flags.{name})")
        script = str(what.script)
        places |= {"name": what.name, "script": script, "quoted_script": shlex.quote(script)}
        start = filled(self._said.submit, places)
        at = next((n for n, text in enumerate(self._said.submit) if _takes_script(text)), len(start))
        return [*start[:at], *more, *what.options.extra, *start[at:]]

    def _counts(self, name: str) -> bool:
        """Whether `submit` says how many of these there are to be."""
        return name in NUMBERS and any(f"{{{name}}}" in text for text in self._said.submit)

    def submitted(self, text: str) -> str | list[str] | None:
        """Look for the id, or for those of the tasks, where each has one of its own."""
        found = [match[1] for match in re.finditer(self._said.id, text, re.MULTILINE)]
        return found if len(found) > 1 and not self._said.task_id else next(iter(found), None)

    def listing(self, user: str) -> list[str]:
        """Fill in the user."""
        return filled(self._said.listing, {"user": user})

    def listed(self, text: str) -> Iterator[Row]:
        """Find each row."""
        return self._rows(self._said.row, text)

    def history(self, jobs: Sequence[str], user: str, since: float) -> list[str] | None:
        """Fill in the jobs; those of which none is known are not sought."""
        return filled(self._said.history, {"user": user}, jobs=jobs) if jobs and self._said.history else None

    def recorded(self, text: str) -> Iterator[Row]:
        """Find each record."""
        return self._rows(self._said.record, text)

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Fill in the ids."""
        single = [each for some in ids for each in some.split(_SEPARATOR)]
        return filled(self._said.cancel, {}, ids=single)

    def why_pending(self, job: str) -> list[str] | None:
        """Fill in the job."""
        return filled(self._said.why, {"job": job}) if self._said.why else None

    def pending_reason(self, text: str) -> str:
        """Look for the reason."""
        match = re.search(self._said.why_text, text, re.MULTILINE) if self._said.why_text else None
        return match[1] if match else self.error_message(text)[:300]

    def id_of(self, job: str, first: int | None = None, last: int | None = None) -> str:
        """Write an id as the configuration says."""
        if first is None or not self._said.task_id:
            return job
        if last is not None and last != first and self._said.task_range:
            return filled([self._said.task_range], {"job": job, "first": first, "last": last})[0]
        ids = [
            filled([self._said.task_id], {"job": job, "task": n})[0]
            for n in range(first, (last or first) + 1)
        ]
        return _SEPARATOR.join(ids)

    def split_id(self, native_id: str) -> tuple[str, int | None]:
        """Take an id apart, where it is written as that of a task."""
        match = self._task_id.fullmatch(native_id) if self.task_variable and self._said.task_id else None
        return (match[1], int(match[2])) if match else (native_id, None)

    def _rows(self, expression: str, text: str) -> Iterator[Row]:
        for match in re.finditer(expression, text, re.MULTILINE):
            said = {name: value or "" for name, value in match.groupdict().items()}
            ranges = _TASKS.findall(said.get("tasks", ""))
            tasks = (
                tuple(range(int(a), int(b or a) + 1, int(step or 1) or 1) for a, b, step in ranges) or None
            )
            cause = said.get("cause", "").strip()
            word = cause if cause in self._said.states else said.get("state", "").strip()
            signal = _number(said.get("signal", ""))
            fields: dict[str, Any] = (
                {"status": JobStatus.ERROR, "reason": "signal", "signal": signal}
                if signal
                else self._meaning(word, _number(said.get("exit_code", "")))
            )
            task = _number(said.get("task", ""))
            fields["number"] = None if task is None else task - self.first_task
            yield Row(said["job"].strip(), tasks=tasks, name=said.get("name", "").strip(), **fields)

    def _meaning(self, word: str, exit_code: int | None) -> dict[str, Any]:
        """Return what a word for a state, and an exit code, mean, as fields of a row."""
        found = self._said.states.get(word)
        if found is None and exit_code is None:
            return {
                "status": JobStatus.QUEUED,
                "message": f"its state is {word!r}, which `states` does not have",
            }
        state, _, reason = (found or ("ERROR" if exit_code else "DONE")).partition(":")
        if state == "STUCK":
            return {"status": JobStatus.QUEUED, "stuck": True, "message": f"its state is {word}"}
        if state != "ERROR":
            return {"status": JobStatus[state], "exit_code": exit_code}
        message = f"{self.title} says that it is {word}" if reason else ""
        return {
            "status": JobStatus.ERROR,
            "reason": reason or "exit-code",
            "exit_code": exit_code,
            "message": message,
        }


def _takes_script(text: str) -> bool:
    return "{script}" in text or "{quoted_script}" in text


def _number(text: str) -> int | None:
    match = _NUMBER.match(text.strip())
    return int(match[0]) if match else None


def filled(arguments: Sequence[str], values: Mapping[str, Any], **lists: Sequence[str]) -> list[str]:
    """Put values in the place of what stands in braces; an argument that is a list's becomes its items."""
    done: list[str] = []
    for argument in arguments:
        if argument.startswith("{") and argument[1:-1] in lists:
            done += lists[argument[1:-1]]
            continue
        texts = {**values, **{name: ",".join(items) for name, items in lists.items()}}
        done.append(re.sub(r"\{(\w+)\}", lambda match, texts=texts: str(texts[match[1]]), argument))  # type: ignore[misc]
    return done
