"""A real Slurm behind a real sshd: the tutorial, and the promises that `anyjob backends check` looks at."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import ssh_lab

pytestmark = [pytest.mark.engine("ssh"), pytest.mark.engine("slurm")]

Cli = Callable[..., subprocess.CompletedProcess[str]]
PLUGIN = Path(__file__).resolve().parents[1]
NAMED = 'host = "login.example.org"'


@pytest.fixture
def login_host(own_server: Callable[..., ssh_lab.Server], tmp_path: Path) -> ssh_lab.Server:
    """The login host of a cluster that has Slurm."""
    if shutil.which("sinfo") is None or subprocess.run(["sinfo", "-h"], capture_output=True).returncode:
        why = "no `sinfo` answers: scripts/slurm-up starts a cluster (as root)"
        if os.environ.get("ANYJOB_REQUIRE_ENGINES"):
            pytest.fail(why)
        pytest.skip(why)
    there = {"TYPE": "slurm", "SPOOL": str(tmp_path / "spool")}
    slurm = {f"ANYJOB_BACKENDS__SLURM__{name}": value for name, value in there.items()}
    if "SLURM_CONF" in os.environ:
        slurm["SLURM_CONF"] = os.environ["SLURM_CONF"]
    return own_server(variables=slurm)


def test_the_tutorial_does_what_it_shows(
    login_host: ssh_lab.Server, run_examples: Callable[..., None], tmp_path: Path
) -> None:
    copy = tmp_path / "tutorial.md"
    text = (PLUGIN / "TUTORIAL.md").read_text(encoding="utf-8")
    assert NAMED in text
    copy.write_text(text.replace(NAMED, f'config = "{login_host.config}"\nhost = "lab"'), encoding="utf-8")
    run_examples(copy)


def test_the_promises_are_kept_by_slurm_behind_ssh(
    login_host: ssh_lab.Server, anyjob_cli: Cli, anyjob_environment: Path
) -> None:
    """Those checks of the kit that fit in half a minute; a broken one is a failure, one left out is not."""
    options = "".join(f"{key} = {value!r}\n" for key, value in login_host.options(backend="slurm").items())
    (anyjob_environment / "anyjob.toml").write_text(f'[backends.hpc]\ntype = "ssh"\n{options}')
    done = anyjob_cli("backends", "check", "hpc", "--limit", "30s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout, done.stdout
