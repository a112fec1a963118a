"""How Sphinx builds this documentation: `make docs`."""

import ast
import inspect
import sys
from pathlib import Path

import click

from anyjob import Registry, __version__, testing
from anyjob.cli import exit_codes
from anyjob.cli.app import main
from anyjob.config.options import describe

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "anyjob"
author = "The anyjob authors"
version = release = __version__
extensions = [
    "diagrams",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_click",
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


def table(*rows: tuple[str, ...]) -> str:
    """Return a table; the first row is its head."""
    head, *rest = ("| " + " | ".join(row) + " |\n" for row in rows)
    return head + "|" + " --- |" * len(rows[0]) + "\n" + "".join(rest)


def builtin_backend(name: str) -> str:
    """Return what a type of backend is, and its options, as `anyjob backends show` has them."""
    backend = Registry().backend(name)
    rows = [(f"`{option.name}`", option.type, option.doc) for option in describe(backend.Options)]
    options = table(("option", "takes", "for"), *rows) if rows else "It has no options.\n"
    return f"{inspect.getdoc(backend)}\n\n{options}\n"


def benchmark(path: Path) -> str:
    """Return what a script measures, and how it is run."""
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return f"`{path.name}`\n\n```text\n{told}\n```\n\n"


def promises(cls: type, known: type = object) -> str:
    """Return what the tests of a class of the conformance kit are about, less those of another class."""
    tests = {
        name: getattr(cls, name) for name in dir(cls) if name.startswith("test_") and not hasattr(known, name)
    }
    rows = [
        (f"`{name}`", " ".join((inspect.getdoc(test) or "").split()), "live" * hasattr(test, "is_live"))
        for name, test in tests.items()
    ]
    return table(("test", "promise", ""), *rows)


def load(group: click.Group) -> None:
    """Import the commands of a group: sphinx-click overlooks those that are imported when they are named."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        group.add_command(command, name)
        if isinstance(command, click.Group):
            load(command)


load(main)
benchmarks = sorted(HERE.parent.glob("benchmarks/[a-z]*.py"))

myst_enable_extensions = ["deflist", "substitution"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
# From the program itself, so that page and program cannot differ.
myst_substitutions = {
    "exit_codes": table(("code", "means"), *exit_codes.TABLE),
    "builtin_backends": "".join(map(builtin_backend, ("local", "processes", "threads", "inline"))),
    "benchmarks": "".join(map(benchmark, benchmarks)),
    "promises_of_backends": promises(testing.BackendConformance),
    "promises_of_task_backends": promises(testing.TaskBackendConformance, testing.BackendConformance),
    "promises_of_job_types": promises(testing.JobTypeConformance),
    "promises_of_providers": promises(testing.ProviderConformance),
    "promises_of_plugins": promises(testing.PluginConformance),
}

# In docstrings, `name` refers to that object where there is one.
default_role = "py:obj"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autosummary_generate = False
napoleon_numpy_docstring = False
