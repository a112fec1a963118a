"""The examples of the README are executed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import ray_lab


@pytest.mark.engine("ray")
def test_examples_of_the_readme_do_what_they_show(
    cluster: ray_lab.Cluster, run_examples: Callable[..., None]
) -> None:
    run_examples(Path(__file__).resolve().parents[1] / "README.md", RAY_ADDRESS=cluster.address)
