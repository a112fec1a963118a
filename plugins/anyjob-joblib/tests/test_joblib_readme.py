"""The examples of the README, and those with libraries for which an executor is a pool, are executed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

PLUGIN = Path(__file__).resolve().parents[1]
SKIPPED = "<!-- skip: needs these libraries, and is run by the tests of anyjob-joblib -->\n"


def test_examples_of_the_readme_do_what_they_show(run_examples: Callable[..., None]) -> None:
    run_examples(PLUGIN / "README.md")


def test_libraries_that_take_an_executor_take_ours(run_examples: Callable[..., None], tmp_path: Path) -> None:
    page = (PLUGIN.parents[1] / "docs" / "how-to" / "executor.md").read_text(encoding="utf-8")
    copy = tmp_path / "executor.md"
    copy.write_text(page[page.index("## In libraries") :].replace(SKIPPED, ""), encoding="utf-8")
    run_examples(copy)
