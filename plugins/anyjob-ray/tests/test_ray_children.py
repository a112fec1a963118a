"""Jobs that jobs on a real Ray submit, to the Ray that they run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import ray_lab
import ray_work
from anyjob_ray.backend import RayBackend
from support.waiting import wait_until

from anyjob import Call, Config, Session
from anyjob.job import JobStatus

pytestmark = pytest.mark.engine("ray")
PATIENCE = 60.0


@pytest.mark.parametrize("own", ["fast", "durable"])
def test_a_job_submits_jobs_and_waits_for_them(
    make: Callable[..., RayBackend], cluster: ray_lab.Cluster, mode: str, own: str
) -> None:
    backend = make(mode=mode)
    options = {"type": "ray", "address": cluster.address, "mode": own}
    job = backend.run(Call(ray_work.submitting, (options, str(backend.services.ledger.state))))
    assert job.result(PATIENCE) == (job.job_id(), [1, 2, 3, 6])


def test_what_a_job_has_submitted_is_cancelled_with_it(
    make: Callable[..., RayBackend], cluster: ray_lab.Cluster, tmp_path: Path, mode: str
) -> None:
    backend, told = make(mode=mode), tmp_path / "told"
    options = {"type": "ray", "address": cluster.address, "mode": "durable"}
    state = str(backend.services.ledger.state)
    job = backend.run(Call(ray_work.submitting_and_waiting, (options, state, str(told))))
    wait_until(lambda: told.exists() or job.in_final_state(), "a job that has submitted another")
    with Session(config=Config.from_dict({"backends": {"ray": options}}), state=state) as session:
        child = session.get_job(told.read_text())
        wait_until(child.running, "the other one to run")
        assert job.cancel()
        assert job.outcome(PATIENCE).status is JobStatus.CANCELLED
        assert child.outcome(PATIENCE).status is JobStatus.CANCELLED
