#!/usr/bin/env bash
# HyperQueue 0.27.0 (Python API): the second task that fails cancels all other tasks of its job, and no call names those that never ran.
#
# max_fails of a Job is 1 by default, which means that one failure is put up with: with one, all others run. After the second one
# nothing else starts. What wait_for_jobs raises, and get_failed_tasks returns, are the tasks that have run and failed; tasks that were cancelled, and
# those that depended on a failed one, are in neither, and there is no call for the state of a task. `max_fails=None` puts up with all.
# Seen on 2026-11-29 of six tasks without dependencies, one worker of one cpu:
#   1 fails: ran 0 1 2 3 4 5; failed tasks: 0
#   2 fail: ran 0 1; failed tasks: 0 1
#   1 fails, and 1 depends on it: ran 0; failed tasks: 0
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet hyperqueue==0.27.0
cd "$directory"
cat >run.py <<'PYTHON'
import os

from hyperqueue import Job, LocalCluster
from hyperqueue.client import FailedJobsException
from hyperqueue.cluster import WorkerConfig


def outcome(client, failing, tasks=6, chained=False):
    job = Job(default_workdir=os.getcwd())
    made = []
    for number in range(tasks):
        code = int(number < failing)
        shell = f"echo {number} >>ran; exit {code}"
        made.append(job.program(["sh", "-c", shell], deps=made[-1:] if chained else []))
    submitted = client.submit(job)
    try:
        client.wait_for_jobs([submitted])
    except FailedJobsException:
        pass
    with open("ran") as file:
        ran = " ".join(sorted(file.read().split()))
    os.remove("ran")
    failed = " ".join(map(str, sorted(client.get_failed_tasks(submitted))))
    return f"ran {ran}; failed tasks: {failed}"


with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=1))
    client = cluster.client()
    seen = [outcome(client, 1), outcome(client, 2), outcome(client, 1, tasks=2, chained=True)]
for what, found in zip(("1 fails", "2 fail", "1 fails, and 1 depends on it"), seen):
    print(f"{what}: {found}")
assert seen == [
    "ran 0 1 2 3 4 5; failed tasks: 0",
    "ran 0 1; failed tasks: 0 1",
    "ran 0; failed tasks: 0",
], "it has changed"
PYTHON
timeout 120 env/bin/python run.py 2>/dev/null | grep -v '^[+|]'
