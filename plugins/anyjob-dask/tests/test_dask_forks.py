"""A program forks that is connected to a scheduler, or has a cluster of its own."""

from __future__ import annotations

from pathlib import Path

import dask_lab
from support.forking import run_forking

PROGRAM = """
import sys, time
from pathlib import Path
from anyjob import BackendError, Call, Config, Registry, Session

table = {"type": "dask", **({"address": sys.argv[2]} if len(sys.argv) > 2 else {"slots": 1})}
session = Session(Config.from_dict({"backends": {"b": table}}), Registry(), Path(sys.argv[1]) / "state")
backend = session.get_backend("b")
assert backend.run(Call(len, (bytes(20_000_000),))).result(60) == 20_000_000  # Dask has a thread for it
job = backend.run(Call(time.sleep, (1,)))

def child():
    if backend.capabilities.durable:
        assert job.result(60) is None
    else:
        try:
            job.result(60)
        except BackendError as error:
            assert "forked off" in str(error), error
        else:
            raise AssertionError("nothing was raised")
    assert backend.run(Call(divmod, (7, 2))).result(60) == (3, 1)
    assert backend.run(Call(len, (bytes(20_000_000),))).result(60) == 20_000_000
    session.close()

in_child(child)
assert job.result(60) is None
assert backend.run(Call(divmod, (7, 2))).result(60) == (3, 1)
session.close()
print("over")
"""


def test_a_child_connects_anew(tmp_path: Path, lab: dask_lab.Lab) -> None:
    run_forking(PROGRAM, str(tmp_path), lab.address)


def test_a_child_has_a_cluster_of_its_own(tmp_path: Path) -> None:
    run_forking(PROGRAM, str(tmp_path))
