"""A program forks that waits for jobs of Slurm: both sides go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, time, traceback
from pathlib import Path
from anyjob import BackendError, Call, Config, Registry, Session

def in_child(do):
    child = os.fork()
    if not child:
        try:
            do()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

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


def run(program: str, *arguments: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, start_new_session=True)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr


@pytest.mark.engine("slurm")
def test_both_sides_go_on(tmp_path: Path, cluster: None) -> None:
    run(PROGRAM, str(tmp_path))
