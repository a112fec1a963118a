"""The examples of the README are executed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def test_examples_of_the_readme_do_what_they_show(run_examples: Callable[..., None], cluster: None) -> None:
    run_examples(Path(__file__).resolve().parents[1] / "README.md")
