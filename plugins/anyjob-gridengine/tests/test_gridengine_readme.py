"""The examples of the README, and those of the page in docs/ that need a cluster, are executed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[1]
ROOT = PLUGIN.parents[1]
SKIPPED = "<!-- skip: needs a Grid Engine cluster, and is run by the tests of anyjob-gridengine -->\n"

pytestmark = pytest.mark.engine("gridengine")


@pytest.mark.parametrize(
    "page", [PLUGIN / "README.md", ROOT / "docs" / "how-to" / "gridengine.md"], ids=lambda p: p.name
)
def test_examples_do_what_they_show(
    page: Path, cluster: None, run_examples: Callable[..., None], tmp_path: Path
) -> None:
    copy = tmp_path / page.name
    copy.write_text(page.read_text(encoding="utf-8").replace(SKIPPED, ""), encoding="utf-8")
    run_examples(copy)
