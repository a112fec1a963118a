"""A real Slurm behind a real sshd: the tutorial, and the promises that `anyjob backends check` looks at."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import ssh_lab
from anyjob_ssh.backend import SshBackend

from anyjob import Command

pytestmark = [pytest.mark.engine("ssh"), pytest.mark.engine("slurm")]

Cli = Callable[..., subprocess.CompletedProcess[str]]
PLUGIN = Path(__file__).resolve().parents[1]
NAMED = 'host = "login.example.org"'


def test_the_tutorial_does_what_it_shows(
    slurm_host: ssh_lab.Server, run_examples: Callable[..., None], tmp_path: Path
) -> None:
    copy = tmp_path / "tutorial.md"
    text = (PLUGIN / "TUTORIAL.md").read_text(encoding="utf-8")
    assert NAMED in text
    copy.write_text(text.replace(NAMED, f'config = "{slurm_host.config}"\nhost = "lab"'), encoding="utf-8")
    run_examples(copy)


def test_who_follows_a_job_reads_each_attempt_once(
    slurm_host: ssh_lab.Server, anyjob_backend: Callable[..., SshBackend]
) -> None:
    """Also while the next one is due and not handed over: the one before was read once more as that."""
    backend = anyjob_backend("ssh", **slurm_host.options(backend="slurm"))
    job = backend.run(Command(["sh", "-c", "echo $ANYJOB_ATTEMPT; exit 3"]), retries=2)
    assert list(job.logs(follow=True)) == ["1\n", "2\n", "3\n"]
    assert [list(job.logs(attempt=number)) for number in (1, 2, 3)] == [["1\n"], ["2\n"], ["3\n"]]


def test_the_promises_are_kept_by_slurm_behind_ssh(
    slurm_host: ssh_lab.Server, anyjob_cli: Cli, anyjob_environment: Path
) -> None:
    """Those checks of the kit that fit in half a minute; a broken one is a failure, one left out is not."""
    options = "".join(f"{key} = {value!r}\n" for key, value in slurm_host.options(backend="slurm").items())
    (anyjob_environment / "anyjob.toml").write_text(f'[backends.hpc]\ntype = "ssh"\n{options}')
    done = anyjob_cli("backends", "check", "hpc", "--limit", "30s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout, done.stdout
