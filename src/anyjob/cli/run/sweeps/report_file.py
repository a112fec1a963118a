"""``anyjob run FILE.toml --report FILE.html``: a report on its jobs, also if nobody waits for them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from anyjob.cli.run.sweeps.results_file import check_place
from anyjob.cli.terminal.output import print_error, print_message
from anyjob.errors import AnyjobError, SpecError
from anyjob.session.facade import Session


def check_path(path: str) -> None:
    """See whether a report can be written there, as far as can be seen before there is one.

    Raises:
        SpecError: it cannot.
    """
    if not path.endswith(".html"):
        raise SpecError(f"--report {path}: a report is a page: name a file that ends in .html")
    check_place("--report", path)


class ReportFile:
    """The report of some jobs, which a job of ours writes once they have ended.

    Args:
        session: in whose ledger they are.
        title: of the page.
        jobs: those that it is of.
        path: where it goes.
    """

    def __init__(self, session: Session, title: str, jobs: Sequence[Any], path: str) -> None:
        from anyjob.notifications.request import Request, submit

        self._path = path
        ids = [job.job_id() for job in jobs]
        self._job = submit(session, Request(title, ids, {"report": os.path.abspath(path)}), ids)

    def wait(self) -> None:
        """Wait until it is written, and say so, or why it is not."""
        try:
            self._job.result()
        except AnyjobError as error:
            print_error(str(error))
            return
        print_message(f"wrote {self._path}")


def report_on(session: Session, title: str, jobs: Sequence[Any], path: str | None) -> ReportFile | None:
    """Ask for the report that is to be written, if one is."""
    return None if path is None else ReportFile(session, title, jobs, path)
