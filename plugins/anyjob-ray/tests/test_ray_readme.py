"""The examples of the README are executed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray_lab

PLUGIN = Path(__file__).resolve().parents[1]


@pytest.mark.engine("ray")
def test_examples_of_the_readme_do_what_they_show(cluster: ray_lab.Cluster, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    run_page = PLUGIN.parents[1] / "tests" / "run_page.py"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {
        "HOME": str(tmp_path),
        "PATH": path,
        "ANYJOB_STATE": str(tmp_path / "state"),
        "PYTHONPATH": os.pathsep.join([str(work), os.environ.get("PYTHONPATH", "")]),
        "RAY_ADDRESS": cluster.address,
    }
    done = subprocess.run(
        [sys.executable, str(run_page), str(PLUGIN / "README.md")],
        cwd=work,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
