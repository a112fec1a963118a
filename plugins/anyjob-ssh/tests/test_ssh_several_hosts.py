"""One name that stands for several hosts without a home in common, by several real sshds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import ssh_lab
from anyjob_ssh.backend import SshBackend

import anyjob
from anyjob import BackendUnavailableError, Command, JobStatus, JobTimeoutError

pytestmark = pytest.mark.engine("ssh")

Make = Callable[..., SshBackend]
Cli = Callable[..., subprocess.CompletedProcess[str]]
FIRST, SECOND = "127.0.0.1", "127.0.0.3"


class Alias:
    """A name that leads to one of two hosts, each with its own home, and called as it is reached.

    Args:
        first: the host that it leads to at first.
        second: the other one, which listens elsewhere at the same port.
    """

    def __init__(self, first: ssh_lab.Server, second: ssh_lab.Server) -> None:
        self.first, self.second = first, second
        second.stop()
        second.address, second.port = SECOND, first.port
        for host in (first, second):
            program = host.bin / "anyjob"
            called = f"export ANYJOB_HOST={host.address}; exec"
            program.write_text(program.read_text().replace("exec", called, 1))
        (second.directory / "authorized_keys").write_bytes((first.directory / "key.pub").read_bytes())
        key = (second.directory / "host_key.pub").read_text().split()[:2]
        with first.known_hosts.open("a") as known:  # under the one name, as is done where a name is several
            known.write(f"[{FIRST}]:{first.port} {' '.join(key)}\n[{SECOND}]:{first.port} {' '.join(key)}\n")
        second.start()

    def to(self, address: str) -> None:
        """Have it lead there, and whoever was connected be connected no more."""
        self.first.write_config(HostName=address, HostKeyAlias=f"[{FIRST}]:{self.first.port}")
        self.first.kill_agents()
        self.second.kill_agents()


@pytest.fixture
def alias(own_server: Callable[..., ssh_lab.Server]) -> Alias:
    return Alias(own_server(), own_server())


def test_the_host_that_has_the_jobs_is_asked_wherever_the_name_leads(alias: Alias, make: Make) -> None:
    backend = make(**alias.first.options())
    job = backend.run(Command(["sh", "-c", "echo begun; exec sleep 1000"]))
    next(job.logs(follow=True))
    alias.to(SECOND)
    assert not job.in_final_state()
    assert backend.hello().host == FIRST
    assert backend.run(Command(["pwd"])).result(60).exit_code == 0
    assert job.cancel()
    assert job.outcome(60).status is JobStatus.CANCELLED
    assert "sleep" not in alias.second.anyjob("jobs", "--all").stdout


def test_another_host_that_answers_is_told_and_what_is_gone_can_be_given_up(
    alias: Alias, anyjob_cli: Cli, anyjob_environment: Path, tmp_path: Path
) -> None:
    given = {"type": "ssh", **alias.first.options(timeout=5)}
    options = "".join(f"{key} = {value!r}\n" for key, value in given.items())
    (anyjob_environment / "anyjob.toml").write_text(f"[backends.hpc]\n{options}")
    config = anyjob.Config.from_dict({"backends": {"hpc": given}}, origin="a test")
    ran = tmp_path / "ran"
    with anyjob.Session(config=config) as session:
        backend = session.get_backend("hpc")
        assert isinstance(backend, SshBackend)
        backend.grace = 0.0  # type: ignore[misc]
        job = backend.run(Command(["sh", "-c", f"echo . >> {ran}; echo begun; exec sleep 1000"]))
        next(job.logs(follow=True))
        alias.first.stop()
        alias.to(SECOND)
        with pytest.raises(BackendUnavailableError, match=rf"on {FIRST}, .* to {SECOND}, (.|\n)*refused"):
            backend.observe([job._record.ticket()])
        with pytest.raises(JobTimeoutError):
            job.result(1)
        told = anyjob_cli("run", "-b", "hpc", "--", "true")
        assert "anyjob remote forget hpc" in told.stderr
        assert anyjob_cli("remote", "forget", "hpc", "--yes").returncode == 0
        assert anyjob_cli("run", "-b", "hpc", "--", "true").returncode == 0
        assert job.outcome(60).reason == "lost"
    assert ran.read_text() == ".\n"
