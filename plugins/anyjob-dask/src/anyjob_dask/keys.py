"""The keys that jobs have in Dask: each says which job it is of, and how the scheduler is to treat it."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from anyjob import Call, Command, Spec

_KEY = re.compile(r"-([0-9a-f]{20})\.([dr]*)$")
_OTHER = re.compile(r"[^A-Za-z0-9_]+")
MAX_PREFIX = 40
"""Characters of the prefix of a key, at most: by that Dask's dashboard groups tasks."""


class JobKey(NamedTuple):
    """What a key says of its job."""

    job_id: str
    durable: bool
    restartable: bool


def key_of(spec: Spec, job_id: str, *, durable: bool, restartable: bool) -> str:
    """Return the key of a job.

    Args:
        spec: the work; its name is the prefix of the key.
        job_id: ours.
        durable: whether the scheduler keeps the job for whoever asks, also when its client has gone.
        restartable: whether Dask may run it a second time.
    """
    flags = ("d" if durable else "") + ("r" if restartable else "")
    return f"{prefix(spec)}-{job_id}.{flags}"


def parse(key: Any) -> JobKey | None:
    """Return what a key says; None for one that is not ours."""
    found = _KEY.search(key) if isinstance(key, str) else None
    return None if found is None else JobKey(found[1], "d" in found[2], "r" in found[2])


def prefix(spec: Spec) -> str:
    """Return the name of what is called or run, in characters that say nothing else to Dask."""
    name = ""
    if isinstance(spec, Command):
        name = os.path.basename(spec.argv[0])
    elif isinstance(spec, Call):
        name = spec.fn.rpartition(":")[2] if isinstance(spec.fn, str) else getattr(spec.fn, "__name__", "")
    return _OTHER.sub("_", str(name))[:MAX_PREFIX].strip("_") or "anyjob"
