"""A distribution that is tested: what its metadata tells, and what `anyjob plugins check` finds."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from anyjob.registry.lookup import Registry
from anyjob.registry.metadata import Source, normalise

if TYPE_CHECKING:
    from anyjob.registry.listing import ListingEntry
    from anyjob.testing.diagnosis.findings import Finding


class DistributionHarness:
    """A distribution as it is installed here.

    Args:
        distribution: its name.
        timeout: seconds for each import.
    """

    def __init__(self, distribution: str, timeout: float = 30.0) -> None:
        self.distribution = distribution
        self.timeout = timeout

    @functools.cached_property
    def entries(self) -> list[ListingEntry]:
        """Its entry points, as they are listed.

        Raises:
            AssertionError: there are none.
        """
        name = normalise(self.distribution)
        found = [line for line in Registry().listing(hooks=False) if line.distribution == name]
        assert found, (
            f"{self.distribution!r} registers nothing here: install it (pip install -e .), and see that its "
            "pyproject.toml has entry points of the groups anyjob.…"
        )
        return found

    @property
    def source(self) -> Source:
        """Its metadata."""
        return self.entries[0].source

    @functools.cached_property
    def _findings(self) -> list[Finding]:
        from anyjob.cli.app import COMMANDS
        from anyjob.testing.diagnosis.reports import check_all

        reports = check_all(self.entries, self.timeout, commands=list(COMMANDS))
        return [finding for report in reports for finding in report.findings]

    def findings(self, what: str) -> list[str]:
        """Return what `anyjob plugins check` finds, in words. It imports each entry point in another process.

        Args:
            what: a level (``error``, ``warning``, ``note``), or the name of a check.
        """
        return [
            f"{each.location or each.entry_point or self.distribution}: {each.message}; {each.hint}"
            for each in self._findings
            if what in (each.level, each.check)
        ]
