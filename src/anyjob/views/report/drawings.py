"""The drawings of a report: how many wait and run, who ran where, and what started after what."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence

from anyjob.status import JobStatus
from anyjob.text.markup import escaped
from anyjob.text.printable import shortened
from anyjob.views.graph.drawn import title
from anyjob.views.graph.folded import Node
from anyjob.views.report.figures import Bar, timeline
from anyjob.views.reported_job import ReportedJob

WIDTH = 1000.0
POINTS = 400
"""Points of a curve."""
TICKS = 6
TALLEST = 900.0
"""Height of all places together, as far as their number allows."""
MOST_PLACES = 40
MOST_STEPS = 60
"""Nodes, at most, of a graph that is drawn: of more, nothing would be seen."""


def _range(jobs: Sequence[ReportedJob], now: float) -> tuple[float, float]:
    begin = min(job.submitted for job in jobs)
    ends = [job.finished if job.finished is not None else now for job in jobs]
    return begin, max(max(ends), begin + 0.001)


def load(jobs: Sequence[ReportedJob], now: float) -> str:
    """Return a curve of how many jobs wait and run."""
    begin, end = _range(jobs, now)
    waits = _curve([(job.submitted, _or(job.started, job.finished, now)) for job in jobs], begin, end)
    runs = _curve(
        [(job.started, _or(job.finished, now)) for job in jobs if job.started is not None], begin, end
    )
    top = max(1, *(w + r for w, r in zip(waits, runs, strict=True)))
    stacked = [w + r for w, r in zip(waits, runs, strict=True)]
    return (
        f'<svg viewBox="0 0 {WIDTH:g} 100" height="100" preserveAspectRatio="none" role="img" '
        f'aria-label="jobs that wait and run">{_area(stacked, top, "Q")}{_area(runs, top, "R")}</svg>'
        f'{_axis(begin, end)}<p class="dim">at most {max(runs)} ran, and {max(waits)} waited</p>'
    )


def _or(*times: float | None) -> float:
    return next(when for when in times if when is not None)


def _curve(spans: list[tuple[float, float]], begin: float, end: float) -> list[int]:
    starts, ends = sorted(span[0] for span in spans), sorted(span[1] for span in spans)
    points = (begin + (end - begin) * n / POINTS for n in range(POINTS + 1))
    return [bisect_right(starts, when) - bisect_right(ends, when) for when in points]


def _area(curve: list[int], top: int, cls: str) -> str:
    points = " ".join(
        f"{WIDTH * n / POINTS:.1f},{100 - 98 * value / top:.1f}" for n, value in enumerate(curve)
    )
    return f'<polygon class="{cls}" points="0,100 {points} {WIDTH:g},100"/>'


def _axis(begin: float, end: float) -> str:
    form = "%Y-%m-%d %H:%M" if end - begin > 86400 else "%H:%M:%S"
    ticks = (
        f'<i style="left:{100 * n / TICKS:.1f}%">'
        f"{time.strftime(form, time.localtime(begin + (end - begin) * n / TICKS))}</i>"
        for n in range(TICKS)
    )
    return f'<div class="axis">{"".join(ticks)}</div>'


def places(jobs: Sequence[ReportedJob], now: float) -> Iterator[str]:
    """Yield for each place a band of bars, one a job; those of the same lane ran one after the other."""
    begin, end = _range(jobs, now)
    by_place: dict[str, list[Bar]] = {}
    for bar in timeline(jobs, now):
        by_place.setdefault(bar.place, []).append(bar)
    if not by_place:
        yield '<p class="dim">none has started yet</p>'
        return
    lanes = {place: max(bar.lane for bar in bars) + 1 for place, bars in by_place.items()}
    height = min(12.0, TALLEST / sum(lanes.values()))
    yield _axis(begin, end)
    for number, (place, bars) in enumerate(by_place.items()):
        if number == MOST_PLACES:
            yield f'<p class="dim">and {len(by_place) - MOST_PLACES} more places</p>'
            return
        tall = max(6.0, lanes[place] * height)
        yield (
            f'<div class="place"><span class="dim">{escaped(place)}: {len(bars)} jobs, {lanes[place]} at a '
            f'time at most</span><svg data-place="{number}" viewBox="0 0 {WIDTH:g} {lanes[place]}" '
            f'height="{tall:.0f}" preserveAspectRatio="none">'
            f"{''.join(_rect(bar, begin, end) for bar in bars)}</svg></div>"
        )


def _rect(bar: Bar, begin: float, end: float) -> str:
    scale = WIDTH / (end - begin)
    x, wide = (bar.begin - begin) * scale, max(0.6, (bar.end - bar.begin) * scale)
    cls = {"DONE": "D", "ERROR": "E", "CANCELLED": "C"}.get(bar.job.state, "R")
    return f'<rect class="{cls}" x="{x:.1f}" y="{bar.lane}.05" width="{wide:.1f}" height=".9"/>'


# --- what started after what ----------------------------------------------------------------------


def dependencies(nodes: Sequence[Node]) -> Iterator[str]:
    """Yield a drawing of which jobs start after which; nothing where none starts after another."""
    edges = [(need.node, index) for index, node in enumerate(nodes) for need in node.needs]
    if not edges:
        return
    yield "<section><h2>What starts after what</h2>"
    steps = {index for edge in edges for index in edge}
    if len(steps) > MOST_STEPS:
        yield f'<p class="dim">{len(steps)} kinds of jobs: too many to be drawn</p></section>'
        return
    yield _graph(nodes, levels(steps, edges), edges) + "</section>"


def levels(steps: Collection[int], edges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return nodes in levels, each below all that it starts after; those of higher numbers start later."""
    before: dict[int, list[int]] = {}
    for first, after in edges:
        before.setdefault(after, []).append(first)
    level: dict[int, int] = {}
    for step in sorted(steps):
        level[step] = 1 + max((level[first] for first in before.get(step, ())), default=-1)
    found: list[list[int]] = [[] for _ in range(max(level.values()) + 1)]
    for step, number in level.items():
        found[number].append(step)
    return found


def _graph(nodes: Sequence[Node], steps: list[list[int]], edges: list[tuple[int, int]]) -> str:
    wide, tall, gap, down = 170, 34, 20, 62
    total = max(len(row) for row in steps) * (wide + gap)
    where = {
        step: ((total - len(row) * (wide + gap)) / 2 + i * (wide + gap) + gap / 2, n * down + 4)
        for n, row in enumerate(steps)
        for i, step in enumerate(row)
    }
    lines = [
        f'<path d="M{x:.0f} {y + tall}C{x:.0f} {y + tall + 16} {u:.0f} {v - 16} {u:.0f} {v}"/>'
        for (before, after) in edges
        for x, y, u, v in [
            (where[before][0] + wide / 2, where[before][1], where[after][0] + wide / 2, where[after][1])
        ]
    ]
    red = ' style="stroke:var(--error)"'
    boxes = [
        f"<g><title>{escaped(title(nodes[step]))}: {escaped(nodes[step].in_words())}</title>"
        f'<rect x="{x:.0f}" y="{y}" width="{wide}" height="{tall}" rx="5"'
        f'{red if nodes[step].states[JobStatus.ERROR] else ""}/><text x="{x + 10:.0f}" y="{y + 22}">'
        f"{escaped(shortened(title(nodes[step]), 22))}</text></g>"
        for step, (x, y) in where.items()
    ]
    height = len(steps) * down
    return (
        f'<div class="scroll"><svg class="graph" viewBox="0 0 {total} {height}" style="width:{total}px;'
        f'height:{height}px" role="img" aria-label="what starts after what">'
        f"{''.join(lines + boxes)}</svg></div>"
    )
