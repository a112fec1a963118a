#!/usr/bin/env bash
# psutil 7.0.0, on Linux: Process(n) is a process that is running where pid_exists(n) says that there is none: n is the id of a thread.
#
# Threads and processes take their ids from one range, and /proc answers for both. pid_exists looks at that, Process and is_running do not. Who
# has kept the id of a process that ended may so find one "running" that is a thread of something else; create_time tells them apart.
# Seen on 2026-11-29:
#   pid_exists: False; in pids(): False; Process: running
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet psutil==7.0.0
"$directory/env/bin/python" - <<'PYTHON'
import threading

import psutil

ended = threading.Event()
thread = threading.Thread(target=ended.wait)
thread.start()
number = thread.native_id
exists, listed = psutil.pid_exists(number), number in psutil.pids()
running = psutil.Process(number).is_running()
print(f"pid_exists: {exists}; in pids(): {listed}; Process: {'running' if running else 'not running'}")
ended.set()
thread.join()
assert (exists, listed, running) == (False, False, True), "it has changed"
PYTHON
