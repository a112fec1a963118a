"""What ``anyjob top`` draws: lines of a width, as many as a terminal has; pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from anyjob.cli.top.snapshot import Closely, Snapshot
from anyjob.cli.top.view import HELP, View
from anyjob.text.amounts import age, span
from anyjob.text.printable import printable
from anyjob.views.forecast import Run, time_to_go
from anyjob.views.live.loads import Load
from anyjob.views.reported_job import ReportedJob

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {"DONE": "green", "ERROR": "red", "RUNNING": "cyan", "CANCELLED": "dim", "QUEUED": "yellow"}
MOST_LOADS = 3
DETAIL = 9
"""Lines of what is shown of the selected job, at most; fewer where there is little room."""
LEAST_JOBS = 3


def lines(snapshot: Snapshot, view: View, width: int, height: int) -> list[Text]:
    """Return so many lines, none wider than that."""
    head = [_counts(snapshot), *(_load(load) for load in snapshot.loads[:MOST_LOADS])]
    room = max(0, height - len(head) - 2)
    detail = _detail(snapshot, view)[: max(0, min(DETAIL, room - LEAST_JOBS))]
    table = list(_table(snapshot.jobs, view, width, max(1, room - len(detail))))
    drawn = [*head, *table]
    drawn += [_line("") for _ in range(height - len(drawn) - len(detail) - 1)]
    drawn += [*detail, _foot(view)]
    for line in drawn:
        line.truncate(width, overflow="ellipsis")
    return drawn[:height]


def _line(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(printable(text), style=style, no_wrap=True)


def _counts(snapshot: Snapshot) -> Text:
    line = _line("anyjob  ", "bold")
    for state in ("RUNNING", "QUEUED", "DONE", "ERROR", "CANCELLED"):
        if count := snapshot.counts.get(state):
            line.append(f"{count} {state}  ", STYLES[state])
    line.append(time.strftime("%H:%M:%S", time.localtime(snapshot.when)), "dim")
    runs = (Run(job.name, job.state, job.started, job.finished) for job in snapshot.jobs)
    left = time_to_go(runs, snapshot.when)
    return line if left is None else line.append(f"  these done in about {span(left)}")


def _load(load: Load) -> Text:
    cores = "" if load.there is None else f"{load.taken} of {load.there} cores taken, "
    return _line(f"  {load.name[:20]}: {cores}{load.running} running, {load.queued} queued")


def _table(jobs: Sequence[ReportedJob], view: View, width: int, height: int) -> Iterator[Text]:
    wide = width >= 100
    name, backend = (20, 12) if wide else (12, 8)
    yield _line(
        f"{'id':<9}{'name':<{name}} {'backend':<{backend}} {'state':<10}{'age':>7}{'took':>8}  work",
        "reverse dim",
    )
    ids = [job.job_id for job in jobs]
    at = ids.index(view.selected) if view.selected in ids else 0
    first = max(0, min(at - (height - 1) // 2, len(jobs) - (height - 1)))
    for number, job in enumerate(jobs[first : first + height - 1], first):
        ran = job.ran(time.time())
        took = "" if ran is None else span(ran)
        line = _line(f"{job.job_id[:8]} {_cut(job.name, name)} {_cut(job.backend, backend)} ")
        line.append(f"{job.state:<10}", STYLES.get(job.state, ""))
        line.append(
            printable(f"{age(job.submitted):>7}{took:>8}  {job.reason and job.reason + ': '}{job.work}")
        )
        if number == at:
            line.stylize("reverse")
        yield line


def _cut(text: str, width: int) -> str:
    from rich.cells import set_cell_size

    return set_cell_size(printable(text), width)


def _detail(snapshot: Snapshot, view: View) -> list[Text]:
    job = next((job for job in snapshot.jobs if job.job_id == view.selected), None)
    job = job or (snapshot.jobs[0] if snapshot.jobs else None)
    if job is None:
        return [_line("no job fits", "dim")]
    known = snapshot.closely.get(job.job_id, Closely("…", (), ()))
    found = [
        _line(f"── {job.job_id} {job.name} ", "bold"),
        _line(f"  {job.work}"),
        _line(f"  It {known.headline}."),
    ]
    found += [_line(f"  - {line}") for line in known.why]
    return found + [_line(f"  | {line}", "dim") for line in known.log]


def _foot(view: View) -> Text:
    if view.typing:
        return _line(f"search: {view.search}▏ (enter: keep, escape: forget)", "bold")
    if view.asks:
        return _line(f"{view.asks} it? y: yes, any other key: no", "bold yellow")
    if view.said:
        return _line(view.said, "bold")
    chosen = f"[{view.filter}, {view.sort}{', /' + view.search if view.search else ''}] "
    return _line(chosen + HELP, "dim")
