from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anyjob import hookspecs
from anyjob.registry import hooks

# The hooks and their arguments are promises to the authors of plugins.
PROMISED = {
    "anyjob_register": ["registry"],
    "anyjob_configure": ["config"],
    "anyjob_choose_backend": ["session", "spec", "candidates"],
    "anyjob_before_submit": ["session", "backend", "job_id", "spec", "resources"],
    "anyjob_job_environment": ["session", "backend", "job_id", "spec"],
    "anyjob_submitted": ["job"],
    "anyjob_status_changed": ["job", "old", "new"],
    "anyjob_finished": ["job", "outcome"],
}
SPECS: dict[str, Callable[..., Any]] = {
    name: value for name, value in vars(hookspecs).items() if name.startswith("anyjob_")
}


def test_the_hooks_are_those_that_were_promised() -> None:
    assert {name: list(inspect.signature(spec).parameters) for name, spec in SPECS.items()} == PROMISED


@pytest.mark.parametrize("name", PROMISED)
def test_every_hook_says_when_where_and_what_to_return_and_has_an_example(name: str) -> None:
    text = inspect.getdoc(SPECS[name]) or ""
    for part in ("When:", "Where:", "Returns:", "Example::"):
        assert part in text
    example = inspect.cleandoc(text.partition("Example::")[2].lstrip("\n"))
    compile(example, name, "exec")
    assert example.startswith("@hookimpl")
    asked = re.search(rf"def {name}\((.*)\):", example)
    assert asked is not None
    assert set(asked.group(1).split(", ")) <= set(PROMISED[name])


@pytest.mark.parametrize("name", PROMISED)
def test_every_hook_is_called_somewhere(name: str) -> None:
    sources = Path(hookspecs.__file__).parent.rglob("*.py")
    assert any(
        f'"{name}"' in path.read_text() for path in sources if path.name not in ("hookspecs.py", "plugins.py")
    )


def test_the_manager_knows_which_hooks_are_special() -> None:
    def with_option(option: str) -> list[str]:
        return [name for name, spec in SPECS.items() if spec.anyjob_spec[option]]  # type: ignore[attr-defined]

    assert tuple(with_option("firstresult")) == hooks._FIRST_RESULT
    assert tuple(with_option("historic")) == hooks._HISTORIC
