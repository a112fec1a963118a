"""Nodes of a graph as text: a tree for a terminal, DOT, Mermaid, and plain data.

Names are anybody's: in each format what would end a label, or be markup, is written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from anyjob.ledger.dependencies import CONDITIONS
from anyjob.status import JobStatus
from anyjob.text.amounts import span
from anyjob.text.printable import printable, shortened
from anyjob.views.graph.folded import PARENT, Need, Node

LONGEST = 80
"""Characters of a label, at most."""
_WORDS = {1: "once it has ended", 2: "once it has failed", PARENT: "submitted by it"}
COLOURS = {
    JobStatus.DONE: "green",
    JobStatus.ERROR: "red",
    JobStatus.CANCELLED: "magenta",
    JobStatus.RUNNING: "cyan",
}
"""Colours of states; of others none."""
_FILLS = {"green": "#b7e1b0", "red": "#f2b5b0", "magenta": "#e3c0e8", "cyan": "#b5dff0", "": "#e8e8e8"}


class Line(NamedTuple):
    """A line of a tree.

    Args:
        branch: what leads to it.
        label: what the node is called.
        state: its states, in words; empty where it was drawn before.
        more: what else is to be said.
        colour: that of its state, or none.
    """

    branch: str
    label: str
    state: str
    more: str
    colour: str


def tree(nodes: Sequence[Node]) -> Iterator[Line]:
    """Yield the lines of a tree: below each node what starts after it, told once where it has two above."""
    below: dict[int, list[tuple[int, int]]] = {}
    for index, node in enumerate(nodes):
        for need in node.needs:
            below.setdefault(need.node, []).append((index, need.condition))
    drawn: set[int] = set()
    stack = [(index, 0, "", "") for index, node in reversed(list(enumerate(nodes))) if not node.needs]
    while stack:
        index, condition, branch, indent = stack.pop()
        node = nodes[index]
        first = index not in drawn
        drawn.add(index)
        others = [nodes[other] for other in dict.fromkeys(need.node for need in node.needs)]
        more = [_WORDS[condition]] if condition in _WORDS else []
        if first and node.seconds >= 1:
            more.append(span(node.seconds))
        if first and len(others) > 1:
            more.append(f"after {len(others)} others" if len(others) > 5 else "after " + _listed(others))
        if not first:
            more.append("as above")
        times = f" x{node.total:,}" if node.total > 1 else ""
        state, colour = (node.in_words(), COLOURS.get(node.state, "")) if first else ("", "")
        yield Line(branch, _text(node.label) + times, state, "; ".join(more), colour)
        if first:
            children = below.get(index, [])
            for number, (child, needed) in reversed(list(enumerate(children))):
                last = number == len(children) - 1
                bend, on = ("└─ ", "   ") if last else ("├─ ", "│  ")
                stack.append((child, needed, indent + bend, indent + on))


def dot(nodes: Sequence[Node], name: str) -> str:
    """Return a graph in the language of Graphviz."""
    lines = [f"digraph {_quoted(name)} {{", "  rankdir=LR;", '  node [shape=box, style="rounded,filled"];']
    for index, node in enumerate(nodes):
        label = _quoted(title(node) + "\n" + node.in_words())
        fill = _FILLS[COLOURS.get(node.state, "")]
        lines.append(f'  n{index} [label={label}, fillcolor="{fill}"];')
    for index, node in enumerate(nodes):
        for need in node.needs:
            style = f" [label={_quoted(_called(need))}, style=dashed]" if need.condition in _WORDS else ""
            lines.append(f"  n{need.node} -> n{index}{style};")
    return "\n".join([*lines, "}"])


def mermaid(nodes: Sequence[Node]) -> str:
    """Return a graph in the language of Mermaid, as GitHub and Jupyter draw it."""
    lines = ["flowchart LR"]
    for index, node in enumerate(nodes):
        lines.append(f'  n{index}["{_entities(title(node))}<br/>{_entities(node.in_words())}"]')
    for index, node in enumerate(nodes):
        for need in node.needs:
            arrow = f"-. {_called(need)} .->" if need.condition in _WORDS else "-->"
            lines.append(f"  n{need.node} {arrow} n{index}")
    for colour, fill in _FILLS.items():
        of_colour = [f"n{i}" for i, node in enumerate(nodes) if COLOURS.get(node.state, "") == colour]
        if of_colour:
            lines.append(f"  classDef {colour or 'open'} fill:{fill},color:#000")
            lines.append(f"  class {','.join(of_colour)} {colour or 'open'}")
    return "\n".join(lines)


def as_data(nodes: Sequence[Node]) -> dict[str, Any]:
    """Return a graph as plain data."""
    return {
        "nodes": [
            {
                "name": node.name,
                "count": node.total,
                "states": {state.name: count for state, count in node.states.items()},
                "seconds": node.seconds,
                "backend": node.jobs[0].backend,
                "jobs": [job.job_id for job in node.jobs],
            }
            for node in nodes
        ],
        "edges": [
            {"from": need.node, "to": index, "condition": _called(need)}
            for index, node in enumerate(nodes)
            for need in node.needs
        ],
    }


def _called(need: Need) -> str:
    return "parent" if need.condition == PARENT else CONDITIONS[need.condition]


def _listed(nodes: Sequence[Node]) -> str:
    return ", ".join(_text(node.label) for node in nodes)


def title(node: Node) -> str:
    """Return what a node is called, with how many jobs it is."""
    return _text(node.label) + (f" x{node.total:,}" if node.total > 1 else "")


def _text(label: str) -> str:
    return shortened(printable(label), LONGEST)


def _quoted(text: str) -> str:
    """Return text as DOT has it: a backslash would begin an escape of its own."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _entities(text: str) -> str:
    """Return text as Mermaid has it: what may mean something to it, or to HTML, by its number."""
    return "".join(char if char.isalnum() or char in " .,:_-/" else f"#{ord(char)};" for char in text)
