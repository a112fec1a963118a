"""A program whose jobs run on two hosts, between which the network goes away for a while.

It asks, by ``cut`` and ``mend``, for that to be done, and is answered by an empty line.
"""

from __future__ import annotations

import atexit
import collections
import faulthandler
import functools
import os
import sys
import time
from typing import Any

import ray_lab
import ray_work
from anyjob_ray import notification_listener

from anyjob import Call, Config, Session

AWAY = 2.0
"""Seconds that the network is away: less than those after which Ray takes a node for dead."""
MANY = 600


def ask_to(what: str) -> None:
    print(what, flush=True)
    sys.stdin.readline()


def notify_directly(backend: Any, heard: list[str]) -> None:
    """The end of a job of the other host is heard from there."""
    job = backend.run(Call(abs, (-1,)), options={"ray": {"resources": {"elsewhere": 1}}})
    assert job.result(30) == 1
    until = time.monotonic() + 30
    while job.job_id() not in heard:
        assert time.monotonic() < until, "its worker was not heard"
        time.sleep(0.01)


def outlast(backend: Any, notes: str) -> None:
    """What is made when the network goes is made once, and all of it."""
    jobs = backend.map(functools.partial(ray_work.brief, notes), range(MANY))
    while len(made(notes)) < MANY / 10:
        assert not jobs[0].in_final_state() or jobs[0].result() == 0
        time.sleep(0.01)
    ask_to("cut")
    time.sleep(AWAY)
    assert not all(job.in_final_state() for job in jobs), "all had ended before"
    ask_to("mend")
    assert [job.result(60) for job in jobs] == list(range(MANY))
    assert set(made(notes).values()) == {1}, made(notes).most_common(3)


def made(notes: str) -> collections.Counter[str]:
    if not os.path.exists(notes):
        return collections.Counter()
    with open(notes) as stream:
        return collections.Counter(stream.read().split())


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
            outlast(backend, os.path.join(state, f"notes-{name}"))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(100, exit=True)
    main(*sys.argv[1:])
