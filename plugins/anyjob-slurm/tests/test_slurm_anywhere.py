"""The example that runs one sweep on whichever backend one word names, here on Slurm."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "anywhere"


@pytest.mark.engine("slurm")
def test_the_sweep_runs_on_slurm_by_one_word(
    cluster: None, anyjob_environment: Path, anyjob_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    here = anyjob_environment / "anywhere"
    shutil.copytree(EXAMPLE, here)
    config = here / "anyjob.toml"
    was, now = 'default_backend = "laptop"', 'default_backend = "slurm"'
    assert was in config.read_text()
    config.write_text(config.read_text().replace(was, now))
    done = anyjob_cli("run", "--json", "sweep.toml", cwd=here, timeout=120)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    told = json.loads(done.stdout)
    assert told["backend"] == "slurm"
    assert [job["state"] for job in told["jobs"]] == ["DONE"] * 4
