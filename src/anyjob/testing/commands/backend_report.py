"""The check of a backend in words: each line as soon as it is known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from anyjob.cli.output import is_terminal, printable
from anyjob.cli.paragraphs import paragraph


def tell(line: dict[str, Any]) -> None:
    """Write one line: of what was looked at first, or of a promise."""
    about = line.get("promise") or line["check"]
    told = [line["told"]] if line["told"] else []
    if line.get("jobs"):
        told.append(f"its jobs: {', '.join(job_id[:8] for job_id in line['jobs'])}")
    if is_terminal(sys.stdout):
        paragraph(line["state"], about, *told) if "promise" in line else paragraph(
            line["state"], ": ".join([about, *told])
        )
    elif "promise" in line:
        _write(": ".join([f"{line['state']:<8}{about}", *told]))
    else:
        _write(": ".join([about, line["state"], *told]))


def _write(text: str) -> None:
    """Write a text; its further lines are set in."""
    print("\n        ".join(printable(line) for line in text.splitlines()), flush=True)


def tell_end(promises: Sequence[dict[str, Any]]) -> None:
    """Say how many promises are kept."""
    states = [each["state"] for each in promises]
    if states:
        parts = [f"{states.count('ok')} promises kept", f"{states.count('failed')} broken"]
        print(f"{', '.join(parts)}, {states.count('skipped')} not looked at")
