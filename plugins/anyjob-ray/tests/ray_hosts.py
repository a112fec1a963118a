"""A program whose jobs run on two hosts, between which the network goes away for a while."""

from __future__ import annotations

import atexit
import faulthandler
import functools
import os
import sys
import time
from pathlib import Path
from typing import Any

import ray_lab
import ray_work
from anyjob_ray.modes import notification_listener
from support.network_outage import run_calls_across_outage

from anyjob import Call, Config, Session


def notify_directly(backend: Any, heard: list[str]) -> None:
    """The end of a job of the other host is heard from there."""
    job = backend.run(Call(abs, (-1,)), options={"ray": {"resources": {"elsewhere": 1}}})
    assert job.result(30) == 1
    until = time.monotonic() + 30
    while job.job_id() not in heard:
        assert time.monotonic() < until, "its worker was not heard"
        time.sleep(0.01)


def main(state: str, here: str, there: str, *enter: str) -> None:
    os.environ.update(ray_lab.environment())
    heard: list[str] = []
    verify = notification_listener.verify

    def noted(key: bytes, datagram: bytes) -> tuple[str, bytes] | None:
        verified = verify(key, datagram)
        if verified is not None:
            heard.append(verified[0])
        return verified

    notification_listener.verify = noted
    cluster = ray_lab.Cluster(2, here)
    atexit.register(cluster.stop)
    common = {"type": "ray", "address": cluster.address, "autoscales": True}
    tables = {mode: {**common, "mode": mode} for mode in ("fast", "durable")}
    with (
        cluster.another_node("elsewhere", host=there, enter=enter),
        Session(Config.from_dict({"backends": tables}), state=state) as session,
    ):
        for name in tables:
            backend = session.get_backend(name)
            notify_directly(backend, heard)
            notes = Path(state, f"notes-{name}")
            run_calls_across_outage(backend, functools.partial(ray_work.brief, str(notes)), notes)


if __name__ == "__main__":
    faulthandler.dump_traceback_later(100, exit=True)
    main(*sys.argv[1:])
