"""Histograms of counts: as text, and as drawings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from anyjob import BackendError

MAX_OUTCOMES = 24
"""How many outcomes are shown each by itself; the rest together."""
BAR_WIDTH = 40
"""Characters that the longest bar has."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


def render_text(name: str, counts: Mapping[str, int], shots: int) -> str:
    """Return a histogram as text: a line for each outcome, in the order of its bits.

    Args:
        name: what the circuit is called.
        counts: how often there was which outcome.
        shots: how often the circuit was run.
    """
    shown, rest = most_frequent(counts)
    bits = max(len("outcome"), *map(len, shown))
    digits = max(len("count"), len(str(max([*counts.values(), 0]))))
    lines = [f"{name}: {shots:,} shots, {len(counts):,} outcomes"]
    largest = max(shown.values(), default=1)
    for outcome, count in shown.items():
        lines.append(
            f"  {outcome:>{bits}}  {count:>{digits}}  {count / shots:6.1%}  {bar(count / largest)}".rstrip()
        )
    if rest:
        others = f"{len(counts) - len(shown):,} more"
        lines.append(f"  {others:>{bits}}  {rest:>{digits}}  {rest / shots:6.1%}")
    return "\n".join(lines)


def bar(part: float) -> str:
    """Return a bar of blocks for a part of the whole, from 0 to 1; what is not nothing can be seen."""
    eighths = max(round(part * BAR_WIDTH * 8), 1 if part > 0 else 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def most_frequent(counts: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Return the most frequent outcomes, in the order of their bits, and how many shots gave others."""
    if len(counts) <= MAX_OUTCOMES:
        return dict(sorted(counts.items())), 0
    kept = sorted(counts, key=lambda outcome: (-counts[outcome], outcome))[:MAX_OUTCOMES]
    shown = {outcome: counts[outcome] for outcome in sorted(kept)}
    return shown, sum(counts.values()) - sum(shown.values())


def check_plot(path: str) -> None:
    """See to it that a drawing can be written into a file of this name.

    Raises:
        BackendError: matplotlib is not installed, or does not know the format that the name says.
    """
    canvas, _ = _matplotlib()
    name, suffix = os.path.splitext(path)
    known = canvas.get_supported_filetypes()
    if suffix[1:].lower() not in known:
        raise BackendError(
            f"nothing can be drawn into {path!r}: its name says no format that matplotlib knows, such as "
            f"{name}.png; there are: {', '.join(known)}"
        )


def _matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendError("to draw takes matplotlib: pip install 'anyjob-qiskit[plot]'") from error
    return FigureCanvasAgg, Figure


def save_plot(named: Sequence[tuple[str, Mapping[str, int]]], path: str) -> None:
    """Draw histograms, one below the other, into a file whose name says the format.

    Raises:
        BackendError: matplotlib is not installed, or cannot write that format or that file.
    """
    canvas, figures = _matplotlib()
    figure = figures(figsize=(8, 3.2 * len(named)), layout="constrained")
    canvas(figure)
    for axes, (name, counts) in zip(figure.subplots(len(named), squeeze=False)[:, 0], named, strict=True):
        shown, rest = most_frequent(counts)
        if rest:
            shown["others"] = rest
        bars = axes.bar(list(shown), list(shown.values()), color="#6929c4")
        axes.bar_label(bars, fontsize=8)
        axes.set_title(name)
        axes.set_ylabel("shots")
        axes.tick_params(axis="x", rotation=0 if len(shown) <= 8 else 70)
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise BackendError(f"the drawing cannot be written to {path!r}: {error}") from error
