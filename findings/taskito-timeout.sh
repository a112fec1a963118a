#!/usr/bin/env bash
# taskito 0.22.0: a task with timeout=1 that takes 12 seconds takes 12 seconds, and has succeeded.
#
# The documentation of the option says that the task is killed after so many seconds. A task of Python runs in a thread, which nothing can kill, and
# what comes of it is taken when it comes: no error, no status, no second attempt tells that the limit was passed.
# Seen on 2026-11-29:
#   'slept', status complete
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet taskito==0.22.0
cd "$directory"
cat >run.py <<'PYTHON'
import os
import threading
import time

from taskito import Queue

queue = Queue(db_path="queue.db", workers=1)


@queue.task(timeout=1)
def nap(seconds):
    time.sleep(seconds)
    return "slept"


threading.Thread(target=queue.run_worker, daemon=True).start()
job = nap.delay(12)
result = job.result(timeout=60)
status = queue.get_job(job.id).status
print(f"{result!r}, status {status}", file=os.fdopen(3, "w", closefd=False), flush=True)
assert (result, str(status)) == ("slept", "complete"), "it has changed"
os._exit(0)  # its worker has no other end
PYTHON
timeout 120 env/bin/python run.py 3>&1 >/dev/null 2>&1
