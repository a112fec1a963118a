"""A program forks that waits for jobs of Slurm: both sides go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.forking import run_forking

PROGRAM = """
import sys, time
from pathlib import Path
from anyjob import BackendError, Call, Config, Registry, Session

table = {"type": "slurm", "spool": sys.argv[1] + "/spool"}
session = Session(Config.from_dict({"backends": {"b": table}}), Registry(), Path(sys.argv[1]) / "state")
backend = session.get_backend("b")
job = backend.run(Call(time.sleep, (1,)))
told = []
job.add_done_callback(told.append)  # so that a thread of the parent watches it

def child():
    assert job.result(90) is None
    assert backend.run(Call(divmod, (7, 2))).result(90) == (3, 1)
    assert told == []

in_child(child)
assert job.result(90) is None
assert backend.run(Call(divmod, (7, 2))).result(90) == (3, 1)
session.close()
print("over")
"""


@pytest.mark.engine("slurm")
def test_both_sides_go_on(tmp_path: Path, cluster: None) -> None:
    run_forking(PROGRAM, str(tmp_path))
