"""Grid Engine by configuration alone: what the page shows passes the live checks of the kit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_gridengine_readme import ROOT, SKIPPED

pytestmark = pytest.mark.engine("gridengine")


def test_a_configuration_is_as_good_as_a_plugin(
    cluster: None, run_examples: Callable[..., None], tmp_path: Path
) -> None:
    copy = tmp_path / "batch-schedulers.md"
    text = (ROOT / "docs" / "how-to" / copy.name).read_text(encoding="utf-8")
    copy.write_text(text.partition("## What there is to say")[0].replace(SKIPPED, ""), encoding="utf-8")
    run_examples(copy)
