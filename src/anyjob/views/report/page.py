"""The report as one page: it loads nothing, and what it shows of jobs is text, whatever is in it."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from anyjob import __version__
from anyjob.text.amounts import money, span
from anyjob.text.markup import LINES, escaped, script_data
from anyjob.text.printable import printable, shortened
from anyjob.views.forecast import Run, time_to_go
from anyjob.views.graph.folded import Node
from anyjob.views.report.drawings import dependencies, load, places
from anyjob.views.report.figures import MOST_NAMES, Failure, Group, failures, figures, grouped, timeline
from anyjob.views.reported_job import ReportedJob

LONGEST = 160
"""Characters of what a job is, or of what is said of its end, in the table of all jobs."""
LONGEST_NAME = 60
"""Characters of what tells one job from the others of its kind."""
SHOWN = 8
"""Jobs of a kind of failure that are named."""
OPEN = 3
"""Kinds of failures of which all is seen without a click."""
COLUMNS = (
    ("id", "text"), ("name", "text"), ("state", "text"), ("reason", "text"), ("backend", "text"),
    ("host", "text"),
    ("submitted", "text"), ("waited", "span"), ("ran", "span"), ("cpus", "number"), ("cpu use", "percent"),
    ("peak memory", "size"), ("work", "text"), ("message", "text"),
)  # fmt: skip
"""Of the table of all jobs: the names, and how what is in them is shown."""


class Report(NamedTuple):
    """What a page is made of.

    Args:
        title: what it is called.
        jobs: oldest first.
        now: when it was made, in seconds since 1970.
        last_words: by the id of a job that failed, the last lines that it wrote.
        nodes: the graph of what starts after what.
        more: whether older jobs fit, too, that are left out.
    """

    title: str
    jobs: Sequence[ReportedJob]
    now: float
    last_words: Mapping[str, Sequence[str]] = {}
    nodes: Sequence[Node] = ()
    more: bool = False


def page(report: Report) -> str:
    """Return the page as HTML."""
    script, style = (_own(name) for name in ("page.js", "page.css"))
    # Of scripts, ours alone runs; and nothing is loaded, whatever were to come into the page.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_digest(script)}'"
    title = escaped(report.title)
    parts = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{style}</style></head><body>",
        f"<header><h1>{title}</h1>{_subtitle(report)}</header>",
        *_summary(report),
        *_failures(report),
        *_timeline(report),
        *_names(report),
        *dependencies(report.nodes),
        *_jobs(report),
        f"<script>{script}</script></body></html>\n",
    )
    return "\n".join(parts)


def _own(name: str) -> str:
    return files("anyjob.views.report").joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def at(when: float) -> str:
    """Return a time for a person, in the zone of this machine."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


def _subtitle(report: Report) -> str:
    more = "; older ones are left out" if report.more else ""
    return (
        f'<p class="dim">{len(report.jobs)} jobs, submitted {at(report.jobs[0].submitted)} to '
        f"{at(report.jobs[-1].submitted)} {escaped(time.strftime('%Z'))}{more}. Made {at(report.now)} "
        f"by anyjob {__version__}.</p>"
    )


def _summary(report: Report) -> Iterator[str]:
    total = figures((), report.jobs, report.now)
    ends = [job.finished for job in report.jobs if job.finished is not None]
    yield '<section><div class="cards">'
    for state, count in total.states.items():
        yield _card(state.lower(), count, state)
    is_open = any(job.finished is None for job in report.jobs)
    last = report.now if is_open or not ends else max(ends)
    runs = (Run(job.name, job.state, job.started, job.finished) for job in report.jobs)
    to_go = time_to_go(runs, report.now)
    if to_go is not None:
        yield _card("to go, about", span(to_go))
    yield _card("from first to last", span(max(0.0, last - min(job.submitted for job in report.jobs))))
    yield _card("waited, median", "–" if total.waited is None else span(total.waited))
    yield _card("ran, median", "–" if total.ran is None else span(total.ran))
    yield _card("core-hours", f"{total.core_hours:,.2f}")
    if total.gpu_hours:
        yield _card("GPU-hours", f"{total.gpu_hours:,.2f}")
    if total.cpu_use is not None:
        yield _card("of cores used", f"{total.cpu_use:.0%}")
    if total.memory_use is not None:
        yield _card("of memory used", f"{total.memory_use:.0%}")
    for currency, cost in total.cost.items():
        yield _card("cost", escaped(money(cost, currency)))
    yield "</div></section>"


def _card(what: str, value: object, cls: str = "") -> str:
    return f'<div class="card {cls}"><b>{value}</b>{what}</div>'


def _timeline(report: Report) -> Iterator[str]:
    yield "<section><h2>Waiting and running</h2><figure>"
    yield load(report.jobs, report.now)
    yield (
        '<p class="legend"><i style="background:var(--waiting)"></i>waiting'
        '<i style="background:var(--running)"></i>running</p></figure></section>'
    )
    yield "<section><h2>Who ran where, and when</h2>"
    yield from places(report.jobs, report.now)
    yield (
        '<p class="legend"><i style="background:var(--done)"></i>done'
        '<i style="background:var(--error)"></i>failed<i style="background:var(--cancelled)"></i>cancelled'
        '<i style="background:var(--running)"></i>running</p>'
        "</section>"
    )


def _names(report: Report) -> Iterator[str]:
    groups = grouped(report.jobs, lambda job: (job.name, job.backend), report.now)
    groups = sorted(groups, key=lambda group: -group.jobs)
    yield "<section><h2>By name: waiting against running, asked against used</h2>"
    yield '<div class="scroll"><table><thead><tr>'
    for name in ("name", "backend"):
        yield f"<th>{name}</th>"
    for name in ("jobs", "done", "failed", "waited", "ran", "hours", "core-hours", "of cores", "of memory"):
        yield f'<th class="n">{name}</th>'
    yield "</tr></thead><tbody>"
    for group in groups[:MOST_NAMES]:
        yield _name_row(group)
    yield "</tbody></table></div>"
    if len(groups) > MOST_NAMES:
        yield f'<p class="dim">and {len(groups) - MOST_NAMES} more</p>'
    yield "</section>"


def _name_row(group: Group) -> str:
    told = [
        *(group.jobs, group.done, group.failed),
        *("" if value is None else span(value) for value in (group.waited, group.ran)),
        *(f"{value:,.2f}" for value in (group.hours, group.core_hours)),
        *(_meter(part) for part in (group.cpu_use, group.memory_use)),
    ]
    names = "".join(f'<td title="{escaped(text)}">{escaped(text) or "–"}</td>' for text in group.key)
    return f"<tr>{names}" + "".join(f'<td class="n">{cell}</td>' for cell in told) + "</tr>"


def _meter(part: float | None) -> str:
    if part is None:
        return ""
    return f'<span class="meter"><i style="width:{min(part, 1):.0%}"></i></span>{part:.0%}'


def _failures(report: Report) -> Iterator[str]:
    found = failures(report.jobs)
    if not found:
        return
    yield "<section><h2>What failed, and why</h2>"
    for number, failure in enumerate(found):
        yield _failure(failure, report.last_words, is_open=number < OPEN)
    yield "</section>"


def _failure(failure: Failure, last_words: Mapping[str, Sequence[str]], *, is_open: bool) -> str:
    count = len(failure.jobs)
    said = shortened(failure.message.partition("\n")[0], LONGEST)
    which = ", ".join(_which(job) for job in failure.jobs[:SHOWN]) + (", …" if count > SHOWN else "")
    hosts = ", ".join(f"{escaped(host)} ({number})" for host, number in failure.hosts)
    told = [
        f"<details{' open' if is_open else ''}><summary><b>{count} × {escaped(failure.reason)}</b> "
        f"{escaped(said)}</summary>",
        f"<p>{which}{f' on {hosts}' if hosts else ''}; why: "
        f"<code>anyjob explain {failure.jobs[0].job_id[:8]}</code></p>",
    ]
    if failure.message.count("\n") or len(failure.message) > LONGEST:
        told.append(f"<pre>{escaped(shortened(failure.message, 4000), LINES)}</pre>")
    words = next((words for job in failure.jobs if (words := last_words.get(job.job_id))), ())
    if words:
        wrote = escaped("\n".join(words), LINES)
        told.append(f'<p class="dim">The last that one of them wrote:</p><pre>{wrote}</pre>')
    return "".join([*told, "</details>"])


def _which(job: ReportedJob) -> str:
    """Say which job it is: by its values of the axes of a job file, where it has any."""
    called = shortened(job.parameters or job.name, LONGEST_NAME)
    return f"<code>{job.job_id[:8]}</code>{f' ({escaped(called)})' if called else ''}"


def _jobs(report: Report) -> Iterator[str]:
    yield (
        '<section><h2>All jobs</h2><input id="search" type="search" placeholder="Search: a name, '
        'state, host, work…" aria-label="Search"><span id="said" class="dim"></span><div class="scroll">'
        '<table id="jobs"><thead></thead><tbody></tbody></table></div><noscript><p>The table needs '
        'JavaScript, which is switched off.</p></noscript></section><div id="tip"></div>'
    )
    yield f'<script type="application/json" id="data">{script_data(_data(report))}</script>'


def _data(report: Report) -> dict[str, Any]:
    texts: dict[str, int] = {}
    rows = [[_value(texts, cell) for cell in _cells(job, report.now)] for job in report.jobs]
    index = {job.job_id: i for i, job in enumerate(report.jobs)}
    bars: dict[str, list[int]] = {}
    for bar in timeline(report.jobs, report.now):
        bars.setdefault(bar.place, []).append(index[bar.job.job_id])
    return {
        "columns": [{"name": name, "form": form} for name, form in COLUMNS],
        "text": list(texts),
        "jobs": rows,
        "bars": list(bars.values()),
    }


def _cells(job: ReportedJob, now: float) -> Iterable[Any]:
    ran = job.ran(now)
    use = job.cpu_time / (ran * job.cpus) if job.cpu_time is not None and ran else None
    return (
        job.job_id, job.name, job.state, job.reason, job.backend, job.host, at(job.submitted),
        job.waited, ran, job.cpus, use, job.peak_memory, job.work, job.message.partition("\n")[0],
    )  # fmt: skip


def _value(texts: dict[str, int], cell: Any) -> Any:
    """Return a cell as it is written: text by its number, since much of it is there often."""
    if isinstance(cell, str):
        return texts.setdefault(shortened(printable(cell), LONGEST), len(texts))
    return round(cell, 3) if isinstance(cell, float) else cell
