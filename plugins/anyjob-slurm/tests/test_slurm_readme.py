"""The examples of the README, and those of the page in docs/ that need a cluster, are executed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[1]
ROOT = PLUGIN.parents[1]
SKIPPED = "<!-- skip: needs a Slurm cluster, and is run by the tests of anyjob-slurm -->\n"

pytestmark = pytest.mark.engine("slurm")


@pytest.mark.parametrize(
    "page", [PLUGIN / "README.md", ROOT / "docs" / "how-to" / "slurm.md"], ids=lambda p: p.name
)
def test_examples_do_what_they_show(
    page: Path, cluster: None, anyjob_environment: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    copy = tmp_path / page.name
    copy.write_text(page.read_text(encoding="utf-8").replace(SKIPPED, ""), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "run_page.py"), str(copy)],
        cwd=work,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "ANYJOB_STATE": str(anyjob_environment / "state"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
        },
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
