"""The keys that jobs have in Dask: each says which job it is of, and how the scheduler is to treat it."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from anyjob.specs import Call, Command, Spec

_KEY = re.compile(r"-([0-9a-f]{20})\.([dr]*)$")
_OTHER = re.compile(r"[^A-Za-z0-9_]+")
LABEL = 40
"""Characters of what a key begins with, at most: by that Dask's dashboard groups tasks."""


class Mark(NamedTuple):
    """What a key says."""

    job_id: str
    durable: bool
    restartable: bool


def key_of(spec: Spec, job_id: str, *, durable: bool, restartable: bool) -> str:
    """Return the key of a job.

    Args:
        spec: the work; its name is what the key begins with.
        job_id: ours.
        durable: whether the scheduler keeps the job for whoever asks, also when its client has gone.
        restartable: whether Dask may run it a second time.
    """
    flags = ("d" if durable else "") + ("r" if restartable else "")
    return f"{label(spec)}-{job_id}.{flags}"


def parse(key: Any) -> Mark | None:
    """Return what a key says; None for one that is not ours."""
    found = _KEY.search(key) if isinstance(key, str) else None
    return None if found is None else Mark(found[1], "d" in found[2], "r" in found[2])


def label(spec: Spec) -> str:
    """Return the name of what is called or run, in letters that say nothing else to Dask."""
    name = ""
    if isinstance(spec, Command):
        name = os.path.basename(spec.argv[0])
    elif isinstance(spec, Call):
        name = spec.fn.rpartition(":")[2] if isinstance(spec.fn, str) else getattr(spec.fn, "__name__", "")
    return _OTHER.sub("_", str(name))[:LABEL].strip("_") or "anyjob"
