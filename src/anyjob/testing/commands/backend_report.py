"""The check of a backend in words: each line as soon as it is known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from anyjob.cli.terminal.output import is_terminal, write_line, write_text
from anyjob.cli.terminal.paragraphs import paragraph
from anyjob.text.printable import printable


def print_line(line: dict[str, Any]) -> None:
    """Write one line: of what was looked at first, or of a promise."""
    about = line.get("promise") or line["check"]
    details = [line["message"]] if line["message"] else []
    if line.get("jobs"):
        details.append(f"its jobs: {', '.join(job_id[:8] for job_id in line['jobs'])}")
    if is_terminal(sys.stdout):
        paragraph(line["state"], about, *details) if "promise" in line else paragraph(
            line["state"], ": ".join([about, *details])
        )
    elif "promise" in line:
        _write(": ".join([f"{line['state']:<8}{about}", *details]))
    else:
        _write(": ".join([about, line["state"], *details]))


def _write(text: str) -> None:
    """Write a text; its further lines are set in."""
    write_text("\n        ".join(printable(line) for line in text.splitlines()))


def print_summary(promises: Sequence[dict[str, Any]]) -> None:
    """Say how many promises are kept."""
    states = [each["state"] for each in promises]
    if states:
        parts = [f"{states.count('ok')} promises kept", f"{states.count('failed')} broken"]
        write_line(f"{', '.join(parts)}, {states.count('skipped')} not looked at")
