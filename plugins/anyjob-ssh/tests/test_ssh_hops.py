"""A machine whose own backend is another machine's, over ssh: two hops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import ssh_lab
from anyjob_ssh.backend import SshBackend

from anyjob import Command, JobStatus

pytestmark = pytest.mark.engine("ssh")


@pytest.fixture
def hop(
    server: ssh_lab.Server, own_server: Callable[..., ssh_lab.Server], make: Callable[..., SshBackend]
) -> SshBackend:
    there = {"TYPE": "ssh", "HOST": "lab", "CONFIG": str(server.config), "BACKEND": "local"}
    variables = {f"ANYJOB_BACKENDS__INNER__{name}": value for name, value in there.items()}
    gate = own_server(variables=variables)
    return make(**gate.options(backend="inner"))


def test_work_results_and_logs_pass_two_hops(hop: SshBackend, server: ssh_lab.Server, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_bytes(bytes(300_000))
    count = hop.run(Command(["sh", "-c", "wc -c; echo $ANYJOB_JOB_ID"], stdin=given))
    assert count.result(60).stdout.text() == f"300000\n{count.job_id()}\n"
    assert count.job_id() in server.anyjob("jobs", "--json").stdout
    assert hop.run(bytes, 3_000_000).result(60) == bytes(3_000_000)  # too large to travel unasked
    again = hop.run(Command(["sh", "-c", "echo $ANYJOB_ATTEMPT; exit 3"]), retries=1)
    assert list(again.logs(follow=True)) == ["1\n", "2\n"]
    assert list(again.logs(attempt=1)) == ["1\n"]
    assert again.outcome(60).exit_code == 3


def test_a_cancel_passes_two_hops(hop: SshBackend) -> None:
    job = hop.run(Command(["sh", "-c", "echo begun; exec sleep 1000"]))
    next(job.logs(follow=True))
    assert job.cancel()
    assert job.outcome(60).status is JobStatus.CANCELLED
