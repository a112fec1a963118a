"""A program whose jobs run on two hosts, between which the network goes away for a while."""

from __future__ import annotations

import faulthandler
import functools
import sys
from pathlib import Path

import cloudpickle
import dask_calls
import dask_lab
from support.network_outage import run_calls_across_outage

from anyjob import Call, Config, Session

cloudpickle.register_pickle_by_value(dask_calls)


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
            run_calls_across_outage(backend, functools.partial(dask_calls.brief, str(notes)), notes)
    finally:
        lab.close()


if __name__ == "__main__":
    faulthandler.dump_traceback_later(100, exit=True)
    main(*sys.argv[1:])
