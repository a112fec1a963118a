"""The example that runs one sweep on whichever backend one word names."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "anywhere"


@pytest.mark.parametrize("word", ["laptop", "dask"])
def test_the_sweep_runs_where_one_word_says(
    word: str,
    anyjob_environment: Path,
    anyjob_cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    here = anyjob_environment / "anywhere"
    shutil.copytree(EXAMPLE, here)
    config = (here / "anyjob.toml").read_text()
    assert config.count("laptop") == 3  # the comment, the word, and what it names
    (here / "anyjob.toml").write_text(
        config.replace('default_backend = "laptop"', f'default_backend = "{word}"')
    )
    done = anyjob_cli("run", "--json", "sweep.toml", cwd=here, timeout=120)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    told = json.loads(done.stdout)
    assert told["backend"] == word
    assert [job["state"] for job in told["jobs"]] == ["DONE"] * 4
