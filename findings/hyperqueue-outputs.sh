#!/usr/bin/env bash
# HyperQueue 0.27.0 (Python API): the outputs of a job overwrite those of the job before, and a working directory that is missing is made.
#
# Output goes to TASK.stdout in the working directory, where tasks are numbered from 0 in each job: two jobs of one program leave one file. A
# directory that does not exist is no error on the worker: it is made, so that a misspelt path has the work done somewhere else.
# Seen on 2026-11-29 of two jobs in one directory, and one in a directory that is not there:
#   *.stdout: second
#   the directory was made: True
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet hyperqueue==0.27.0
cd "$directory"
mkdir work
cat >run.py <<'PYTHON'
from pathlib import Path

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig


def run(client, workdir, word):
    job = Job(default_workdir=workdir.absolute())
    job.program(["echo", word])
    client.wait_for_jobs([client.submit(job)])


work, missing = Path("work"), Path("wrok")
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=1))
    client = cluster.client()
    run(client, work, "first")
    run(client, work, "second")
    run(client, missing, "third")
outputs = [each.read_text().strip() for each in work.glob("*.stdout")]
print("*.stdout:", *outputs)
print("the directory was made:", missing.is_dir())
assert outputs == ["second"] and missing.is_dir(), "it has changed"
PYTHON
timeout 120 env/bin/python run.py 2>/dev/null | grep -v '^[+|]'
