"""What ``anyjob run FILE.toml`` was told beside the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class FileRequest(NamedTuple):
    """How the jobs of a job file are to be run."""

    as_json: bool
    """Tell all as JSON, on stdout."""
    backend: str | None = None
    """The name of a backend, in place of the file's."""
    resources: Mapping[str, Any] = {}
    """Keywords of ``run``, before the file's; what all, or the first steps, start after is among them."""
    axes: Mapping[str, str] = {}
    """Values of the file's matrix, in place of its own."""
    detach: bool = False
    """Leave as soon as all is handed over."""
    fresh: bool = False
    """Do not go on where it was left off: run all anew."""
    results: str | None = None
    """A file for the table."""
    report: str | None = None
    """A file for a report."""
    fail_fast: bool | None = None
    """Cancel the others when one has failed, but for what is to start after a failure, or after an end of
    whatever kind; None: as the file says."""
    dry_run: bool = False
    """Hand nothing over, and print what would be."""
