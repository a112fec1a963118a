"""A program of which a node, and then the cluster, is killed while its jobs run.

It says what it should have seen and has not.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import sys
from typing import Any

import ray_lab

from anyjob import BackendUnavailableError, Call, Config, Session

PATIENCE = 100
"""Seconds that one step may take, on a machine that has much else to do."""


def raised(call: Any) -> BaseException | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def lose_node(cluster: ray_lab.Cluster, backends: list[Any], notes: str) -> None:
    """What runs on a node that dies has ended with it, and is not run again."""
    import ray

    with cluster.another_node("elsewhere") as kill:
        jobs = []
        for backend in backends:
            call = Call("ray_work:noted", (f"{notes}-{backend.name()}", 1, (1,), "hold"))
            jobs.append(backend.run(call, options={"ray": {"resources": {"elsewhere": 1}}}))
        for job in jobs:
            while not job.running():
                assert not job.in_final_state(), job.outcome()
        assert "elsewhere" in ray.cluster_resources()
        kill()
        for job in jobs:
            assert job.outcome(PATIENCE).reason == "node-failure", job.outcome()
    for backend in backends:
        assert backend.run(Call(abs, (-1,))).result(PATIENCE) == 1
        with open(f"{notes}-{backend.name()}") as stream:
            assert len(stream.readlines()) == 1


def main(state: str) -> None:
    os.environ.update(ray_lab.environment())
    cluster = ray_lab.Cluster(2)
    atexit.register(cluster.stop)
    tables = {
        mode: {"type": "ray", "address": cluster.address, "mode": mode, "timeout": 3.0, "autoscales": True}
        for mode in ("fast", "durable")
    }
    with Session(Config.from_dict({"backends": tables}), state=state) as session:
        fast, durable = session.get_backend("fast"), session.get_backend("durable")
        lose_node(cluster, [fast, durable], os.path.join(state, "notes"))
        jobs = [backend.run(Call("time:sleep", (300,))) for backend in (fast, durable)]
        for job in jobs:
            while not job.running():
                assert not job.in_final_state(), job.outcome()
        cluster.stop()
        outcome = jobs[0].outcome(PATIENCE)
        assert outcome.reason in ("lost", "node-failure"), outcome
        while (error := raised(jobs[1].status)) is None:  # an answer from a moment ago is one, too
            pass
        assert isinstance(error, BackendUnavailableError), error
        assert cluster.address in str(error)
        for backend in (fast, durable):
            error = raised(lambda backend=backend: backend.run(Call(abs, (1,))))
            assert isinstance(error, BackendUnavailableError), error
            assert cluster.address in str(error), error


if __name__ == "__main__":
    faulthandler.dump_traceback_later(50)  # Ray ends the process after a minute without a word
    main(sys.argv[1])
