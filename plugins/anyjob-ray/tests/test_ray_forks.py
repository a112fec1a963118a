"""A program forks that is connected to Ray, which does not survive that: the child is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ray_lab

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


def run(program: str, *arguments: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, start_new_session=True)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr


def test_a_child_is_told(tmp_path: Path, cluster: ray_lab.Cluster, mode: str) -> None:
    run(PROGRAM, str(tmp_path), cluster.address, mode)
