"""Jobs as a table of comma-separated values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from anyjob.text.printable import printable
from anyjob.views.reported_job import ReportedJob

FORMULA = ("=", "+", "-", "@")
"""What a text begins with that a spreadsheet would take for a formula."""


def as_csv(jobs: Iterable[ReportedJob], now: float) -> str:
    """Return a line for each job, under the names of its fields; times in seconds since 1970.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = ReportedJob._fields
    writer.writerow([*names, "waited", "ran"])
    for job in jobs:
        writer.writerow([*(_cell(getattr(job, name)) for name in names), job.waited, job.ran(now)])
    return file.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        value = json.dumps(value) if value else ""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(FORMULA) else text
