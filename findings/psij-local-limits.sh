#!/usr/bin/env bash
# PSI/J 0.9.11: the executor `local` lets a job outlast its duration, and runs one process of those that were asked for.
#
# A job that says that it takes a second at most, and takes three, is COMPLETED. process_count=3 starts one process, unless the launcher is named:
# launcher="multiple" starts three. With a batch scheduler below both mean what they say, so that a script that is tried here does
# something else there.
# Seen on 2026-11-29:
#   duration of 1 s: COMPLETED after 3 s
#   3 processes: 1 has run; with the launcher "multiple": 3
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet psij-python==0.9.11
cd "$directory"
cat >run.py <<'PYTHON'
import os
import time
from datetime import timedelta
from pathlib import Path

from psij import Job, JobAttributes, JobExecutor, JobSpec, ResourceSpecV1

executor = JobExecutor.get_instance("local")


def run(shell, **more):
    job = Job(JobSpec("/bin/sh", ["-c", shell], **more))
    executor.submit(job)
    return job.wait(timeout=timedelta(seconds=60))


start = time.monotonic()
status = run("sleep 3", attributes=JobAttributes(duration=timedelta(seconds=1)))
took = time.monotonic() - start
print(f"duration of 1 s: {status.state.name} after {took:.0f} s")
counts = []
for launcher in (None, "multiple"):
    out = Path(f"out-{launcher}")
    run("echo run", stdout_path=out, resources=ResourceSpecV1(process_count=3), launcher=launcher)
    counts.append(out.read_text().count("run"))
print(f'3 processes: {counts[0]} has run; with the launcher "multiple": {counts[1]}')
assert (status.state.name, counts) == ("COMPLETED", [1, 3]) and took >= 3, "it has changed"
os._exit(0)  # its threads would hold it
PYTHON
timeout 120 env/bin/python -u run.py
