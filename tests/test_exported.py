"""The public API: sorted, importable, documented, and light."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pickle
import pkgutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import install

import anyjob
from anyjob import sdk


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


def functions_of(thing: Any) -> Iterator[Any]:
    """The functions that a public name stands for: itself, or those of the class or module."""
    if inspect.isroutine(thing):
        yield thing
    bases = thing.__mro__ if inspect.isclass(thing) else [thing] if inspect.ismodule(thing) else []
    for base in bases:
        ours = base.__name__ if inspect.ismodule(base) else base.__module__
        for member, value in vars(base).items() if ours.startswith("anyjob") else ():
            if member in ("__init__", "__await__") or not member.startswith("_"):
                found = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
                if inspect.isfunction(found) and found.__module__.startswith("anyjob"):
                    yield found


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module in (anyjob, sdk) for name in module.__all__ if name != "runner"],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_annotations_of_every_public_name_can_be_evaluated(module: Any, name: str) -> None:
    """Tools that show or check signatures evaluate them: Sphinx, typer, beartype."""
    thing = getattr(module, name)
    for found in [*([thing] if inspect.isclass(thing) else ()), *functions_of(thing)]:
        hints = typing.get_type_hints(found)
        assert not any(isinstance(hint, (str, typing.ForwardRef)) for hint in hints.values())
        signature = inspect.signature(found, eval_str=True)
        shown = [parameter.annotation for parameter in signature.parameters.values()]
        assert not any(isinstance(annotation, str) for annotation in [*shown, signature.return_annotation])


def test_functions_of_the_package_have_the_signatures_of_the_sessions_methods() -> None:
    names = [
        "get_backend",
        "get_provider",
        "get_job_type",
        "job_types",
        "backends",
        "run",
        "get_job",
        "jobs",
        "rerun",
        "hold",
        "release",
        "pause",
        "resume",
        "set_priority",
    ]
    for name in names:
        function, method = getattr(anyjob, name), getattr(anyjob.Session(), name)
        assert inspect.signature(function) == inspect.signature(method)
        assert function.__doc__ == method.__doc__
        assert pickle.loads(pickle.dumps(function)) is function


def test_every_name_for_annotations_is_what_checkers_take_it_for() -> None:
    from anyjob import _typing

    stub = ast.parse(Path(_typing.__file__).with_suffix(".pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    names = {alias.asname: node.module for node in imports for alias in node.names if alias.asname}
    assert names.pop("overload") == "typing"  # which it stands for without importing it
    assert len(names) > 20
    for name, module in names.items():
        assert getattr(_typing, name) is getattr(importlib.import_module(str(module)), name)
    with pytest.raises(AttributeError, match=r"anyjob\._typing' has no attribute 'Anny'"):
        _ = _typing.Anny  # type: ignore[attr-defined]


PREDICATES = {"cancelled", "done", "running", "in_final_state"}


@pytest.mark.parametrize("cls", [anyjob.BaseJob, anyjob.BaseBackend, anyjob.BaseProvider])
def test_help_on_the_original_interface_names_what_is_taken_given_and_raised(cls: type) -> None:
    for name, value in vars(cls).items():
        method = getattr(value, "__func__", value)
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        doc = inspect.getdoc(method) or ""
        signature = inspect.signature(method, eval_str=True)
        taken = [parameter for parameter in signature.parameters if parameter not in ("self", "cls")]
        assert [each for each in taken if f"\n    {each}: " not in doc] == [], name
        assert signature.return_annotation is None or "\nReturns:\n" in doc, name
        if name in PREDICATES or name == "wait_for_final_state":
            assert "InvalidStatusError: " in doc, name
    assert cls is not anyjob.BaseJob or vars(cls).keys() >= PREDICATES


def test_no_room_takes_the_name_of_something_public() -> None:
    """An import of ``anyjob.backends.local`` would put a module in the place of the function."""
    modules = {module.name for module in pkgutil.iter_modules(anyjob.__path__)}
    assert {name for name in anyjob.__all__ if name in modules} == {"aio"}


def test_every_error_is_exported() -> None:
    from anyjob import errors

    public = {name for name, value in vars(errors).items() if inspect.isclass(value) and name[0] != "_"}
    assert public <= set(anyjob.__all__)


def test_every_error_is_in_the_drawing_and_pickles() -> None:
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
    assert rooms == {"config", "registry", "session", "backend", "errors", "_typing", "process"}


def test_a_call_here_imports_nothing_for_programs_and_files(tmp_path: Path) -> None:
    call = "anyjob.get_backend('inline').run(anyjob.Call('math:sqrt', (4,))).result()"
    mine = imported_by(f"import anyjob; assert {call} == 2", cwd=tmp_path)
    assert "msgspec" in mine
    unwanted = {
        "asyncio", "click", "cloudpickle", "concurrent", "dataclasses", "hashlib", "json", "logging",
        "pathlib", "pluggy", "psutil", "random", "rich", "shutil", "signal", "sqlite3", "subprocess",
        "tempfile",
    }  # fmt: skip
    assert mine & {*unwanted, "anyjob.ledger", "anyjob.cli", "anyjob.text.suggestions"} == set()


@pytest.mark.parametrize("module", ["job", "backend", "errors", "specs"])
def test_what_is_below_imports_nothing_from_above(module: str) -> None:
    """The arrows of DESIGN.md point downwards."""
    mine = {name for name in imported_by(f"import anyjob.{module}") if name.startswith("anyjob.")}
    below = {
        "_typing",
        "job",
        "status",
        "backend",
        "errors",
        "specs",
        "references",
        "resources",
        "retry",
        "text",
        "text.units",
    }
    assert mine <= {f"anyjob.{name}" for name in below}
