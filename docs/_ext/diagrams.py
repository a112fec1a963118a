"""Diagrams: blocks of Mermaid's language, drawn while the documentation is built.

A forge draws the same blocks itself. Here it takes no browser and no network: Mermaid comes in a wheel, with
an engine that runs it. A diagram is drawn twice, for light and for dark pages, and opens in full size.
"""

from __future__ import annotations

import hashlib
import html
import re
from pathlib import Path
from typing import Any

import mermaidx
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# Actors of a sequence stand close together, so that six of them can be read at the width of a page.
CONFIG = {
    "sequence": {"actorMargin": 10, "width": 100, "diagramMarginX": 8, "messageMargin": 28, "boxMargin": 8}
}
# Of each theme of the pages: Mermaid's theme, and what is behind the drawing.
THEMES = {"light": ("neutral", "#ffffff"), "dark": ("dark", "#131416")}


class diagram(nodes.General, nodes.Element):  # noqa: N801 - as docutils calls its nodes
    """A diagram: ``alt``, and the drawing for each theme in ``drawings``."""


class MermaidDirective(SphinxDirective):
    """A diagram, described by the line ``accDescr:`` that it must have."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        source = "\n".join(self.content)
        described = re.search(r"^\s*accDescr:\s*(.+)$", source, re.MULTILINE)
        if described is None:
            raise self.error("a diagram needs a line 'accDescr: …' for those who cannot see it")
        try:
            drawings = {theme: draw(source, *look) for theme, look in THEMES.items()}
        except Exception as error:
            raise self.error(f"the diagram cannot be drawn: {error}") from error
        return [diagram(alt=described[1], drawings=drawings)]


def draw(source: str, theme: str, background: str) -> str:
    """Return the drawing, as SVG."""
    css = f"#my-svg {{ background-color: {background} !important; }}"
    return mermaidx.render(source, theme=theme, css=css, config=CONFIG).svg()


def visit(writer: Any, node: diagram) -> None:
    """Write each drawing to a file, and show the one for the theme of the page."""
    builder = writer.builder
    directory = Path(builder.outdir, builder.imagedir)
    directory.mkdir(parents=True, exist_ok=True)
    writer.body.append('<div class="diagram">')
    for theme, drawing in node["drawings"].items():
        name = f"diagram-{hashlib.sha256(drawing.encode()).hexdigest()[:16]}-{theme}.svg"
        (directory / name).write_text(drawing, encoding="utf-8")
        where = f"{builder.imgpath}/{name}"
        writer.body.append(
            f'<a class="only-{theme}" href="{where}"><img src="{where}" alt="{html.escape(node["alt"])}"></a>'
        )
    writer.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Make them known to Sphinx."""
    app.add_node(diagram, html=(visit, None))
    app.add_directive("mermaid", MermaidDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
