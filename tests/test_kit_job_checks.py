"""Each check of a job's life fails for a backend that breaks just that promise, and passes for right ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kit_trials import check, harness_of
from wrong_backends_job import FAILURES, NEVER


@pytest.mark.parametrize(
    ("backend", "name", "says"), FAILURES, ids=[f"{cls.__name__}-{name}" for cls, name, _ in FAILURES]
)
def test_a_wrong_backend_fails_the_check_for_it(
    backend: type[Any], name: str, says: str, tmp_path: Path
) -> None:
    with (
        harness_of(backend, tmp_path, never=NEVER.get(backend)) as harness,
        pytest.raises(AssertionError, match=says),
    ):
        check(name, harness)
