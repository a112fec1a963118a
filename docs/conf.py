"""How Sphinx builds this documentation: `make docs`."""

import sys
from pathlib import Path

from anyjob import __version__

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "anyjob"
author = "The anyjob authors"
version = release = __version__
extensions = [
    "diagrams",
    "myst_parser",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
]
smartquotes = False  # two dashes are two dashes
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "anyjob"
html_static_path = ["_static"]
html_css_files = ["anyjob.css"]

# A copy is of what one types: no prompt, and nothing that a program has printed.
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"

# Nothing is fetched: the names that are linked to are in docs/inventories, by scripts/inventory.
intersphinx_mapping = {
    name: (site, str(HERE / "inventories" / f"{name}.txt"))
    for name, site in {
        "python": "https://docs.python.org/3",
        "dask": "https://distributed.dask.org/en/stable",
        "ray": "https://docs.ray.io/en/latest",
        "qiskit": "https://quantum.cloud.ibm.com/docs/api/qiskit",
    }.items()
}


myst_enable_extensions = ["deflist"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
