"""The public API: sorted, importable, documented, and light."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_program import install

import anyjob


def test_all_is_sorted_and_without_doubles() -> None:
    assert anyjob.__all__ == sorted(set(anyjob.__all__))


@pytest.mark.parametrize("name", anyjob.__all__)
def test_every_name_can_be_imported_and_is_documented(name: str) -> None:
    thing = getattr(anyjob, name)
    if inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing):
        assert inspect.getdoc(thing), f"{name} has no docstring"


@pytest.mark.parametrize("name", [n for n in anyjob.__all__ if inspect.isclass(getattr(anyjob, n))])
def test_every_public_method_is_documented(name: str) -> None:
    undocumented = [
        member
        for member, value in inspect.getmembers(getattr(anyjob, name), callable)
        if not member.startswith("_")
        and getattr(value, "__module__", "").startswith("anyjob")
        and not inspect.getdoc(value)
    ]
    assert undocumented == []


def test_no_room_takes_the_name_of_something_public() -> None:
    """An import of ``anyjob.backends.local`` would put a module in the place of the function."""
    modules = {module.name for module in pkgutil.iter_modules(anyjob.__path__)}
    assert {name for name in anyjob.__all__ if name in modules} == {"aio"}


def test_every_error_is_exported() -> None:
    from anyjob import errors

    public = {name for name, value in vars(errors).items() if inspect.isclass(value) and name[0] != "_"}
    assert public <= set(anyjob.__all__)


def test_every_error_is_in_the_drawing_and_pickles() -> None:
    import pickle

    from anyjob import errors

    for name, value in vars(errors).items():
        if inspect.isclass(value):
            assert f"{name} " in (errors.__doc__ or "") or f"{name}\n" in (errors.__doc__ or "")
            error = pickle.loads(pickle.dumps(value.__new__(value)))
            assert type(error) is value
    error = pickle.loads(pickle.dumps(errors.CommandFailedError("oh", exit_code=3, stderr="no")))
    assert (str(error), error.exit_code, error.stderr, error.reason) == ("oh", 3, "no", "exit-code")
    remote = pickle.loads(pickle.dumps(errors.RemoteError("oh", traceback="Traceback")))
    assert str(remote) == "oh\n\nTraceback"


def test_every_module_is_documented_and_imports() -> None:
    for module in pkgutil.walk_packages(anyjob.__path__, "anyjob."):
        if not module.name.endswith("__main__"):
            assert importlib.import_module(module.name).__doc__, module.name


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'anyjob' has no attribute 'get_backed'"):
        _ = anyjob.get_backed
    assert set(anyjob.__all__) <= set(dir(anyjob))


def imported_by(statement: str, **options: Any) -> set[str]:
    script = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    out = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True, **options
    )
    return set(out.stdout.split())


HEAVY = {"pluggy", "rich", "click", "importlib_metadata", "dataclasses", "inspect", "typing", "logging",
         "tomllib", "asyncio", "msgspec", "psutil", "cloudpickle", "contextlib", "re"}  # fmt: skip


def test_import_of_the_package_imports_nothing_else() -> None:
    assert {name for name in imported_by("import anyjob") if name.startswith("anyjob")} == {"anyjob"}


@pytest.mark.parametrize("statement", ["import anyjob", "from anyjob import get_backend"])
def test_imports_stay_light(statement: str) -> None:
    assert imported_by(statement) & HEAVY == set()


PLAIN = """
from anyjob.backend import BaseBackend

class Backend(BaseBackend):
    def run(self, *args, **kwargs):
        return None
"""


def test_a_plain_plugin_is_found_at_the_price_of_its_own_import(tmp_path: Path) -> None:
    """What its jobs need is imported when it runs one."""
    install(tmp_path, "acme", "[anyjob.backends]\nacme = acme_of_tests:Backend\n", acme_of_tests=PLAIN)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    mine = imported_by(
        "import anyjob; anyjob.get_backend('acme')",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=tmp_path,
    )
    assert "acme_of_tests" in mine
    assert mine & {*HEAVY, "enum", "functools", "threading", "json", "pickle", "pathlib", "sqlite3"} == set()
    rooms = {name.split(".")[1] for name in mine if name.startswith("anyjob.")}
    assert rooms == {"config", "registry", "session", "backend", "errors", "hints"}


def test_a_call_here_imports_nothing_for_programs_and_files(tmp_path: Path) -> None:
    call = "anyjob.get_backend('inline').run(anyjob.Call('math:sqrt', (4,))).result()"
    mine = imported_by(f"import anyjob; assert {call} == 2", cwd=tmp_path)
    assert "msgspec" in mine
    unwanted = {
        "asyncio", "click", "cloudpickle", "concurrent", "dataclasses", "hashlib", "json", "logging",
        "pathlib", "pluggy", "psutil", "random", "rich", "shutil", "sqlite3", "subprocess", "tempfile",
    }  # fmt: skip
    assert mine & {*unwanted, "anyjob.ledger", "anyjob.cli", "anyjob.text.nearest"} == set()


@pytest.mark.parametrize("module", ["job", "backend", "errors", "specs"])
def test_what_is_below_imports_nothing_from_above(module: str) -> None:
    """The arrows of DESIGN.md point downwards."""
    mine = {name for name in imported_by(f"import anyjob.{module}") if name.startswith("anyjob.")}
    below = {"job", "status", "backend", "errors", "specs", "text", "text.units", "text.nearest"}
    assert mine <= {f"anyjob.{name}" for name in below}
