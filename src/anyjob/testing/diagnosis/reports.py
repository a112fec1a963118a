"""A report on each distribution: what its metadata tells, and what importing it elsewhere does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from anyjob.cli.plugins.isolated_process import IsolatedResult, kill_all, run_isolated
from anyjob.registry.entry_points import CORE
from anyjob.registry.listing import ListingEntry
from anyjob.testing.diagnosis.findings import ERROR, LEVELS, WARNING, Finding
from anyjob.testing.diagnosis.metadata import check_metadata, check_names, check_states
from anyjob.testing.diagnosis.public_imports import check_sources

_IMPORTED = ("ok", "ambiguous")


class Report:
    """What was found out about one distribution.

    Attributes:
        entries: its entry points: what `ListingEntry` has, and ``seconds``, ``modules`` and ``brings`` of the
            import of each; None where it was not imported.
        findings: what is to be said of it, the worst first.
    """

    def __init__(self, lines: Sequence[ListingEntry]) -> None:
        self._line = lines[0]
        self.entries: list[dict[str, Any]] = [
            {**line.to_dict(), "seconds": None, "modules": None, "brings": None}
            for line in lines
            if line.group
        ]
        self.findings: list[Finding] = []

    def add(self, *findings: Finding) -> None:
        """Add to what is to be result; what several entry points of one module have is said once."""
        known = {(each.check, each.message, each.location): each for each in self.findings}
        for each in findings:
            known.setdefault((each.check, each.message, each.location), each)
        self.findings = sorted(known.values(), key=lambda each: LEVELS.index(each.level))

    def failed(self, *, strict: bool = False) -> bool:
        """Return whether there is an error; where strict, or a warning."""
        return any(each.level == ERROR or (strict and each.level == WARNING) for each in self.findings)

    @property
    def title(self) -> str:
        """The distribution, its version, and where it is."""
        line = self._line
        return f"{line.distribution} {line.version}".strip() + f" ({line.editable or line.location})"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it by name.

        The ``state`` is that of the first entry point that does not answer; else ``faulty`` where there
        is an error all the same, or ``ok``.
        """
        line = self._line
        errors = [each for each in self.findings if each.level == ERROR]
        states = [each for each in self.entries if each["state"] not in ("ok", "duplicate")]
        if not line.group:
            states = [line.to_dict()]
        return {
            "distribution": line.distribution,
            "version": line.version,
            "location": line.location,
            "editable": line.editable,
            "state": states[0]["state"] if states else "faulty" if errors else "ok",
            "why": states[0]["why"] if states else errors[0].message if errors else "",
            "seconds": sum(each["seconds"] or 0.0 for each in self.entries),
            "entry_points": [{key: each[key] for key in _ENTRY_KEYS} for each in self.entries],
            "findings": [each.to_dict() for each in self.findings],
        }


_ENTRY_KEYS = ("group", "name", "value", "api", "state", "why", "seconds", "modules", "brings")


def check_all(listed: Sequence[ListingEntry], timeout: float, commands: Sequence[str] = ()) -> list[Report]:
    """Check what is installed: its metadata, and by importing each entry point in a process of its own.

    Args:
        listed: what to check; what cannot answer to its name is not imported.
        timeout: seconds for each import.
        commands: the names of anyjob's own subcommands.

    Returns:
        a report for each distribution, anyjob's first.
    """
    reports = []
    tasks = []
    for lines in _by_distribution(listed):
        report = Report(lines)
        report.add(*check_states(lines))
        if lines[0].group:
            report.add(*check_names(lines, commands), *check_metadata(lines[0]), *check_sources(lines[0]))
        reports.append(report)
        tasks += [
            (report, entry) for entry in report.entries if entry["state"] in _IMPORTED and entry["value"]
        ]
    for (report, entry), result in zip(tasks, _examine([entry for _, entry in tasks], timeout), strict=True):
        report.add(*_merge(entry, result))
    return reports


def _by_distribution(listed: Sequence[ListingEntry]) -> list[list[ListingEntry]]:
    found: dict[tuple[bool, str, str], list[ListingEntry]] = {}
    for line in listed:
        found.setdefault((line.distribution != CORE, line.distribution, line.location), []).append(line)
    return [found[key] for key in sorted(found)]


def _examine(entries: Sequence[dict[str, Any]], timeout: float) -> list[IsolatedResult]:
    def examine(entry: dict[str, Any]) -> IsolatedResult:
        arguments = (entry["group"], entry["name"], entry["distribution"])
        return run_isolated("anyjob.testing.diagnosis.import_check:examine", *arguments, timeout=timeout)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        try:
            return list(pool.map(examine, entries))
        except BaseException:  # Ctrl-C: nobody waits for the answers
            pool.shutdown(wait=False, cancel_futures=True)
            kill_all()
            raise


def _merge(entry: dict[str, Any], result: IsolatedResult) -> list[Finding]:
    """Take what came of an import into the line of the entry point; return what is to be said of it."""
    findings = []
    if result.value is None:
        entry["state"], entry["why"] = result.state, result.why
        check = "hangs" if result.state == "hangs" else "import"
        hint = f"tell its authors; or do without it: pip uninstall {entry['distribution']}"
        findings = [Finding(check, result.why, hint, entry["value"].partition(":")[0])]
    else:
        findings = [Finding.from_dict(each) for each in result.value.pop("findings")]
        if entry["state"] == "ambiguous":  # which it stays, as long as it can be imported
            result.value.update(
                {} if result.value["state"] != "ok" else {"state": "ambiguous", "why": entry["why"]}
            )
        entry.update(result.value)
        if result.output.strip():
            message = f"its import writes: {result.output.strip().splitlines()[0][:200]}"
            hint = "have the authors leave that to functions, or to a logger"
            findings.append(Finding("prints", message, hint, entry["value"].partition(":")[0]))
    for each in findings:
        each.entry_point = f"{entry['group']}:{entry['name']}"
    return findings
