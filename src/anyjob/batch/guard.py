"""A dialect whose faults name it: what a function of the author's raises, or gives that is no answer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from anyjob.batch.dialect import Dialect, Row
from anyjob.errors import BackendError, BackendUnavailableError
from anyjob.status import JobStatus
from anyjob.text.brief import brief

D = TypeVar("D", bound=Dialect)
_guarded: dict[type[Any], type[Any]] = {}


def _is_command(answer: Any) -> bool:
    is_list = isinstance(answer, (list, tuple)) and bool(answer)
    return is_list and all(isinstance(word, str) and "\0" not in word for word in answer)


def _is_command_or_none(answer: Any) -> bool:
    return answer is None or _is_command(answer)


def _is_text(answer: Any) -> bool:
    return isinstance(answer, str)


def _are_texts(answer: Any) -> bool:
    return all(isinstance(each, str) for each in answer)


def _are_ids(answer: Any) -> bool:
    return answer is None or _are_texts(answer)


def _is_split_id(answer: Any) -> bool:
    return len(answer) == 2 and isinstance(answer[0], str) and isinstance(answer[1], (int, type(None)))


def _are_rows(answer: Any) -> bool:
    return all(
        isinstance(row, Row)
        and isinstance(row.job, str)
        and isinstance(row.status, JobStatus)
        and all(isinstance(tasks, range) for tasks in row.tasks or ())
        for row in answer
    )


COMMAND = "a program and its arguments, as a list of texts"
ANSWERS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "submit": (_is_command, COMMAND),
    "listing": (_is_command, COMMAND),
    "cancel": (_is_command, COMMAND),
    "history": (_is_command_or_none, f"{COMMAND}, or None"),
    "limit": (_is_command_or_none, f"{COMMAND}, or None"),
    "why_pending": (_is_command_or_none, f"{COMMAND}, or None"),
    "submitted": (_are_ids, "the id as text, those of all tasks, or None"),
    "listed": (_are_rows, "rows, each with an id that is a text, a JobStatus, and ranges of tasks"),
    "recorded": (_are_rows, "rows, each with an id that is a text, a JobStatus, and ranges of tasks"),
    "cancelled": (_are_texts, "ids as texts"),
    "id_of": (_is_text, "an id as text"),
    "split_id": (_is_split_id, "the id of the job, and the number of the task or None"),
    "error_message": (_is_text, "a text"),
    "pending_reason": (_is_text, "a text"),
}
"""What the functions of a dialect answer: how that is seen, and in words."""
ASKS = ("listed", "recorded")
"""What reads answers to questions: these are asked again later."""


def guarded(dialect: D) -> D:
    """Return a dialect that is the same, but for its faults, which are a `BackendError` that names it."""
    found = copy.copy(dialect)
    kind = type(dialect)
    if kind not in _guarded:
        _guarded[kind] = _guarded_class(kind)
    found.__class__ = _guarded[kind]  # so that it has all that the author gave it
    return found


def _guarded_class(kind: type[Any]) -> type[Any]:
    said = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    made = type(kind.__name__, (kind,), said)
    for name in ANSWERS:
        setattr(made, name, _guarded_method(made, name))
    return made


def _guarded_method(kind: type[Any], name: str) -> Callable[..., Any]:
    is_answer, words = ANSWERS[name]
    failure = BackendUnavailableError if name in ASKS else BackendError

    def call(self: Dialect, *args: Any, **named: Any) -> Any:
        where = f"the dialect of {self.title} ({kind.__module__}.{kind.__qualname__})"
        try:
            answer = getattr(super(kind, self), name)(*args, **named)
            if isinstance(answer, Iterator):
                answer = list(answer)
            is_right = is_answer(answer)
        except Exception as error:
            if isinstance(error, BackendError) or (name == "submit" and isinstance(error, ValueError)):
                raise  # by which it refuses
            raise failure(f"{where} raises in {name}(): {type(error).__name__}: {error}") from error
        if not is_right:
            raise failure(f"{where} gives {brief(answer)} in {name}(): it is to give {words}")
        return answer

    return call
