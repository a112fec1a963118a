#!/usr/bin/env bash
# Dask distributed 2026.8.0: a task that calls sys.exit(0) ends its worker, is tried on three more, and takes the tasks of these along.
#
# In a thread of the standard library's executors sys.exit is an exception like others. In a worker of Dask it is the end of the process: the nanny
# starts another, the scheduler hands the task to that, and after the fourth it is given up with KilledWorker, which says nothing of an exit. What
# other tasks had kept in those workers is computed anew.
# Seen on 2026-11-29:
#   KilledWorker; it ran 4 times, in 4 processes
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet distributed==2026.8.0
cd "$directory"
cat >run.py <<'PYTHON'
import os
import sys

from distributed import Client


def leave():
    with open("pids", "a") as file:
        print(os.getpid(), file=file)
    sys.exit(0)


if __name__ == "__main__":
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50) as client:
        error = client.submit(leave).exception(timeout=90)
    with open("pids") as file:
        pids = file.read().split()
    print(f"{type(error).__name__}; it ran {len(pids)} times, in {len(set(pids))} processes")
    assert type(error).__name__ == "KilledWorker" and len(set(pids)) == 4, "it has changed"
PYTHON
timeout 120 env/bin/python run.py 2>/dev/null
