"""A program whose jobs run on two hosts, between which the network goes away for a while.

It asks, by ``cut`` and ``mend``, for that to be done, and is answered by an empty line.
"""

from __future__ import annotations

import collections
import faulthandler
import functools
import sys
import time
from pathlib import Path

import cloudpickle
import dask_calls
import dask_lab

from anyjob import Call, Config, Session

cloudpickle.register_pickle_by_value(dask_calls)
AWAY = 2.0
"""Seconds that the network is away: less than those after which Dask closes a connection."""
MANY = 600


def ask_to(what: str) -> None:
    print(what, flush=True)
    sys.stdin.readline()


def made(notes: Path) -> collections.Counter[str]:
    return collections.Counter(notes.read_text().split() if notes.exists() else ())


def main(home: str, here: str, there: str, *enter: str) -> None:
    notes = Path(home, "notes")
    lab = dask_lab.Lab(Path(home), [("--nthreads", "2", "--host", here)], host=here)
    try:
        lab.add("--nthreads", "2", "--host", there, "--resources", "elsewhere=2", enter=enter)
        lab.wait(2)
        tables = {"cluster": {"type": "dask", "address": lab.address}}
        with Session(Config.from_dict({"backends": tables}), state=Path(home, "state")) as session:
            backend = session.get_backend("cluster")
            job = backend.run(Call(abs, (-1,)), options={"dask": {"resources": {"elsewhere": 1}}})
            assert job.result(30) == 1
            jobs = backend.map(functools.partial(dask_calls.brief, str(notes)), range(MANY))
            while len(made(notes)) < MANY / 10:
                assert not jobs[0].in_final_state() or jobs[0].result() == 0
                time.sleep(0.01)
            ask_to("cut")
            time.sleep(AWAY)
            assert not all(job.in_final_state() for job in jobs), "all had ended before"
            ask_to("mend")
            assert [job.result(60) for job in jobs] == list(range(MANY))
            assert set(made(notes).values()) == {1}, made(notes).most_common(3)
    finally:
        lab.close()


if __name__ == "__main__":
    faulthandler.dump_traceback_later(100, exit=True)
    main(*sys.argv[1:])
