"""A patch of a constant that has moved does nothing, and a test that relies on it passes for nothing.

Python says so of a name that is gone, but not of one that is read in another module by now.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READ_ELSEWHERE_TOO = {
    # What is read elsewhere is not what the test is about. Without the patch it was red, or with GRACE slow.
    ("test_daemons_survive.py", "anyjob.ledger.identity.HOST"),
    ("test_job_finder.py", "anyjob.ledger.identity.HOST"),
    ("test_remote_agent.py", "anyjob.remote.near.bulks.BULK"),
    ("test_ledger.py", "anyjob.ledger.file.database.VERSION"),
    ("test_ledger.py", "anyjob.ledger.file.schema.VERSION"),
    ("test_pools.py", "anyjob.execution.spawning.GRACE"),
    ("test_processes.py", "anyjob.execution.spawning.GRACE"),
    ("test_ssh_bad_days.py", "anyjob.remote.near.bulks.BULK"),
    ("test_supervisor.py", "anyjob.builtin.local.client.CLIENT_PROTOCOL"),
}


def test_a_patched_constant_is_read_where_it_is_patched() -> None:
    """Read elsewhere as well, it is patched there too, or listed above."""
    tests = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("plugins/*/tests/**/*.py")]
    by_test = {path: set(patches(Module(path))) for path in tests if ".setattr(" in path.read_text("utf-8")}
    names = {name for patched in by_test.values() for _, name in patched}
    any_of_them = re.compile(rf"\b({'|'.join(names)})\b")
    modules = {name: Module(path) for name, path in sources() if any_of_them.search(path.read_text("utf-8"))}
    wrong = []
    for path, patched in by_test.items():
        for module, name in patched & {(each, name) for each in modules for name in names}:
            home = home_of(modules, module, name)
            readers = {each for each in modules if is_read_in(modules, each, name, home)}
            if module == home and any(f"{module}.{name}" in it.attributes for it in modules.values()):
                readers.add(module)
            others = readers - {each for each, of in patched if of == name}
            if module not in readers or (
                others and (path.name, f"{module}.{name}") not in READ_ELSEWHERE_TOO
            ):
                wrong.append(f"{path.name} patches {module}.{name}, which is read in {sorted(readers)}")
    assert not wrong, "\n".join(wrong)


class Module:
    """What a module imports, and reads when its functions are called."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.imported: dict[str, str] = {}
        self.read: set[str] = set()
        self.attributes: set[str] = set()
        nodes = list(ast.walk(self.tree))
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                self.imported |= {it.asname or it.name: f"{node.module}.{it.name}" for it in node.names}
        for node in nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inside = [each for statement in node.body for each in ast.walk(statement)]
                self.read |= {each.id for each in inside if isinstance(each, ast.Name)}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                self.attributes.add(f"{self.imported.get(node.value.id)}.{node.attr}")


def sources() -> Iterator[tuple[str, Path]]:
    for base in [ROOT / "src", *ROOT.glob("plugins/*/src")]:
        for path in base.rglob("*.py"):
            yield ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__"), path


def patches(test: Module) -> Iterator[tuple[str, str]]:
    """Yield the constants that a file patches, each with its module."""
    for node in ast.walk(test.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr != "setattr" or len(node.args) < 2:
            continue
        target, name = node.args[:2]
        if isinstance(target, ast.Constant) and isinstance(target.value, str):
            module, _, told = target.value.rpartition(".")
        elif isinstance(target, ast.Name) and isinstance(name, ast.Constant):
            module, told = test.imported.get(target.id, ""), str(name.value)
        else:
            continue
        if told.isupper():
            yield module, told


def home_of(modules: dict[str, Module], module: str, name: str) -> str:
    """Return the module that makes a constant which another one may have imported."""
    made, _, told = modules[module].imported.get(name, "").rpartition(".")
    return home_of(modules, made, told) if made in modules else module


def is_read_in(modules: dict[str, Module], module: str, name: str, home: str) -> bool:
    return name in modules[module].read and home_of(modules, module, name) == home
