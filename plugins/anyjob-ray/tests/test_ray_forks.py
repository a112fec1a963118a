"""A program forks that is connected to Ray, which does not survive that: the child is told."""

from __future__ import annotations

from pathlib import Path

import ray_lab
from support.forking import run_forking

PROGRAM = """
import sys, time
from pathlib import Path
from anyjob import BackendError, Call, Config, Registry, Session

table = {"type": "ray", "address": sys.argv[2], "mode": sys.argv[3]}
session = Session(Config.from_dict({"backends": {"b": table}}), Registry(), Path(sys.argv[1]) / "state")
backend = session.get_backend("b")

def raises(call, words):
    try:
        call()
    except BackendError as error:
        assert words in str(error), error
    else:
        raise AssertionError("nothing was raised")

in_child(lambda: session.get_backend("b").run(Call(divmod, (7, 2))).result(60))  # not connected yet
assert backend.run(Call(divmod, (7, 2))).result(60) == (3, 1)
job = backend.run(Call(time.sleep, (1,)))

def child():
    raises(lambda: job.result(60), "forked off")
    raises(lambda: backend.run(Call(divmod, (7, 2))), "connect after the fork")
    session.close()

in_child(child)
assert job.result(60) is None
assert backend.run(Call(divmod, (7, 2))).result(60) == (3, 1)
session.close()
print("over")
"""


def test_a_child_is_told(tmp_path: Path, cluster: ray_lab.Cluster, mode: str) -> None:
    run_forking(PROGRAM, str(tmp_path), cluster.address, mode)
