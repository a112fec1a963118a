"""What the jobs have left that another one starts after, as it lies in Ray's object store."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from anyjob.sdk import runner

# The function and the class, and not the module: it is they that are sent along.
Results, NoResult, broken = runner.Results, runner.NoResult, runner.broken


def unmet(before: Mapping[str, Any]) -> BaseException | None:
    """Return what keeps a job from being run that was to start after the success of others; None: nothing.

    Args:
        before: what the tasks of these have returned, by the ids of their jobs.
    """
    try:
        for job_id, result in before.items():
            _taken(job_id, result)
    except NoResult as error:
        return error
    return None


def load_with_results(arguments: bytes, buffers: Sequence[Any], results: Mapping[str, Any]) -> Any:
    """Unpickle arguments, with results in place of the references to them.

    Args:
        arguments: the pickle.
        buffers: the large parts that were left out of it.
        results: what the tasks of other jobs have returned, by the ids of these.

    Raises:
        NoResult: a job has not succeeded.
    """
    taken = {job_id: _taken(job_id, result) for job_id, result in results.items()}
    given = {job_id: partial(_value, *result) for job_id, result in taken.items()}
    return Results(given).load(io.BytesIO(arguments), buffers)


def _taken(job_id: str, result: Any) -> tuple[bytes, Sequence[Any]]:
    """Return a value's pickle and its large parts; also where it is lazy, nothing is called without it."""
    blob, *parts = result if isinstance(result, tuple) else (result,)
    outcome = pickle.loads(blob)
    if outcome["status"] != "DONE":
        raise broken(job_id, outcome["status"], outcome.get("reason"), outcome.get("message", ""))
    return outcome.get("value"), parts


def _value(pickled: bytes, parts: Sequence[Any], called: str) -> Any:
    return pickle.loads(pickled, buffers=parts)
