"""A machine to log in to, and backends on it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ssh_lab
from anyjob_ssh.backend import SshBackend

Make = Callable[..., SshBackend]
collect_ignore = [] if "ANYJOB_TEST_MATRIX" in os.environ else ["test_ssh_slurm_conforms.py"]


def require() -> None:
    """Skip where there is no sshd, or fail where engines are required."""
    why = ssh_lab.missing()
    if why and os.environ.get("ANYJOB_REQUIRE_ENGINES"):
        pytest.fail(why)
    if why:
        pytest.skip(why)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_lab.Server]:
    """A machine that the tests of a session share."""
    require()
    made = ssh_lab.Server(tmp_path_factory.mktemp("far"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def slurm_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh_lab.Server]:
    """The login host of a cluster that has Slurm, which the tests of a session share."""
    require()
    if shutil.which("sinfo") is None or subprocess.run(["sinfo", "-h"], capture_output=True).returncode:
        why = "no `sinfo` answers: scripts/slurm-up starts a cluster (as root)"
        if os.environ.get("ANYJOB_REQUIRE_ENGINES"):
            pytest.fail(why)
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("login")
    there = {"TYPE": "slurm", "SPOOL": str(directory / "spool")}
    slurm = {f"ANYJOB_BACKENDS__SLURM__{name}": value for name, value in there.items()}
    if "SLURM_CONF" in os.environ:
        slurm["SLURM_CONF"] = os.environ["SLURM_CONF"]
    made = ssh_lab.Server(directory / "far", variables=slurm)
    yield made
    made.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., ssh_lab.Server]]:
    """Gives machines that a test may break; with lines of the configuration of their sshd."""
    require()
    made: list[ssh_lab.Server] = []

    def make(*lines: str, **where: Any) -> ssh_lab.Server:
        made.append(ssh_lab.Server(tmp_path / f"far-{len(made)}", *lines, **where))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def make(anyjob_backend: Make) -> Make:
    """Gives backends with these options."""
    return functools.partial(anyjob_backend, "ssh")


@pytest.fixture
def backend(make: Make, server: ssh_lab.Server) -> SshBackend:
    """A backend on the machine that is shared."""
    return make(**server.options())
