"""The example that runs one sweep on whichever backend one word names."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "anywhere"
INSTALLED = {each.name for each in entry_points(group="anyjob.backends")}


@pytest.mark.parametrize("word", ["laptop", "dask", "ray", "slurm"])
def test_the_sweep_runs_where_one_word_says(
    word: str,
    anyjob_environment: Path,
    anyjob_cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    if word != "laptop" and word not in INSTALLED:
        pytest.skip(f"anyjob-{word} is not installed")
    if word == "slurm" and shutil.which("sinfo") is None:
        pytest.skip("there is no Slurm here")
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
