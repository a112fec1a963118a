"""What a call left of itself: its report, as `runner` makes it, taken as an `Outcome`.

A report is a mapping with the fields of `anyjob.Outcome`, with the name of the status, in builtin types.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping
from typing import Any, BinaryIO

import msgspec

from anyjob.outcome import Outcome
from anyjob.spool.plain_data import PlainUnpickler
from anyjob.status import JobStatus

_HERE = os.uname().nodename


def outcome_from_report(report: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a call by its report.

    Args:
        report: what `runner` says of the call: the fields of `anyjob.Outcome`, with the name of the status.
            Where it names no host, the call has run on this one.

    Raises:
        KeyError: its status is none.
        TypeError: it has other fields.
    """
    return Outcome(**{"host": _HERE, **report, "status": JobStatus[report["status"]]})


def parse_outcome(data: bytes) -> Outcome | None:
    """Return the outcome of a call by the file ``outcome.pkl`` that it left, wherever that was fetched from.

    Args:
        data: what the file holds: a pickled report, of builtin types alone.

    Returns:
        the outcome; None where the file is not whole, or is something else.
    """
    try:
        report = load_report(io.BytesIO(data))
        return Outcome(status=JobStatus[report.pop("status")], **report)
    except Exception:  # a torn pickle raises whatever its last byte leads to
        return None


def load_report(stream: BinaryIO) -> dict[str, Any]:
    """Unpickle a report, of which nothing is run or imported.

    Raises:
        Exception: it is none.
    """
    report: dict[str, Any] = PlainUnpickler(stream).load()
    return report


def dump_report(outcome: Outcome) -> bytes:
    """The inverse of `parse_outcome`, of an outcome whose value is pickled."""
    return pickle.dumps({**msgspec.structs.asdict(outcome), "status": outcome.status.name}, 5)
