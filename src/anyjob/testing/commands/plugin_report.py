"""The reports of a check in words: on a terminal set in its width, in a pipe one line a finding."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from anyjob.cli.terminal.output import is_terminal, table, write_line, write_text
from anyjob.cli.terminal.paragraphs import heading, paragraph
from anyjob.testing.diagnosis.findings import LEVELS, Finding
from anyjob.testing.diagnosis.reports import Report

BAD = ("broken", "hangs", "ambiguous", "incompatible", "stale", "faulty")


def print_reports(reports: Sequence[Report]) -> None:
    """Write a table of what was imported, then what was found, then how much of it there is."""
    columns = ["distribution", "version", "registers", "name", "state", "ms", "modules", "brings"]
    rows = [_cells(entry) for report in reports for entry in report.entries]
    if is_terminal(sys.stdout):  # which has no room for the version, that `plugins list` tells too
        columns, rows = [columns[0], *columns[2:]], [[row[0], *row[2:]] for row in rows]
    table(columns, rows, marks=BAD)
    for report in reports:
        if report.findings:
            (_draw if is_terminal(sys.stdout) else _print)(report)
    write_text(f"\n{_summary(reports)}")


def _cells(entry: Mapping[str, Any]) -> list[Any]:
    return [
        entry["distribution"],
        entry["version"],
        entry["group"].removeprefix("anyjob."),
        entry["name"],
        entry["state"],
        None if entry["seconds"] is None else round(entry["seconds"] * 1000),
        entry["modules"],
        _shortened(entry["brings"] or ()),
    ]


def _shortened(names: Sequence[str]) -> str:
    more = f", and {len(names) - 3} more" if len(names) > 4 else ""
    return ", ".join(names[: 3 if more else 4]) + more


def _print(report: Report) -> None:
    write_line("")
    for each in report.findings:
        name = report.to_dict()["distribution"]
        where = f" (at {each.location})" if each.location else ""
        write_line(f"{name}: {each.level}: {_entry_point(each)}{each.message}{where}; {each.hint}")


def _draw(report: Report) -> None:
    heading(report.title)
    for each in report.findings:
        below = [each.location] if each.location else []
        paragraph(each.level, f"{_entry_point(each)}{each.message}", *below, f"→ {each.hint}")


def _entry_point(finding: Finding) -> str:
    group, _, name = finding.entry_point.partition(":")
    return f"{group.removeprefix('anyjob.')} {name}: " if finding.entry_point else ""


def _summary(reports: Sequence[Report]) -> str:
    found = [each.level for report in reports for each in report.findings]
    parts = [_count(found.count(level), level) for level in LEVELS if level in found]
    return f"{_count(len(reports), 'distribution')} checked: {', '.join(parts) or 'nothing to complain of'}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
