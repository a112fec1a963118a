#!/usr/bin/env bash
# PSI/J 0.9.11 on Slurm: a job that squeue does not list is COMPLETED, and a squeue that fails three times makes all jobs FAILED, which run on.
#
# What is not listed is taken for ended well, unless the job has left an exit code: so is an id that Slurm never gave. Slurm forgets jobs 5 minutes after their end
# (MinJobAge), so one that a node's failure or scancel has ended is COMPLETED for who looks later. A controller that restarts answers nothing for a
# minute or two: three polls at the default of 30 s. A job that is FAILED by that stays so.
# Needs a Slurm, such as `scripts/slurm-up` starts; it is not stopped.
# Seen on 2026-11-30, polling each second:
#   attached to job 999999, which never was: COMPLETED, exit code None
#   squeue fails three times: FAILED, and Slurm says RUNNING
set -euo pipefail

sinfo -h >/dev/null || { echo "needs a Slurm that answers" >&2; exit 2; }
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet psij-python==0.9.11
cd "$directory"
cat >run.py <<'PYTHON'
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

from psij import Job, JobExecutor, JobSpec
from psij.executors.batch.slurm import SlurmExecutorConfig

wrapper = Path("bin/squeue")
wrapper.parent.mkdir()
wrapper.write_text(f'#!/bin/sh\n[ ! -e {Path("away").absolute()} ] || exit 1\nexec {shutil.which("squeue")} "$@"\n')
wrapper.chmod(0o755)
os.environ["PATH"] = f"{wrapper.parent.absolute()}:{os.environ['PATH']}"
config = SlurmExecutorConfig(work_directory=Path("work").absolute(), queue_polling_interval=1)
executor = JobExecutor.get_instance("slurm", config=config)

never = Job()
executor.attach(never, "999999")
status = never.wait(timeout=timedelta(seconds=60))
print(f"attached to job 999999, which never was: {status.state.name}, exit code {status.exit_code}")

job = Job(JobSpec("/bin/sleep", ["60"]))
executor.submit(job)
job.wait(timeout=timedelta(seconds=60), target_states=[type(status.state).ACTIVE])
Path("away").touch()
ended = job.wait(timeout=timedelta(seconds=60))
Path("away").unlink()
slurm = subprocess.check_output(["squeue", "-h", "-j", job.native_id, "-o", "%T"], text=True).strip()
subprocess.run(["scancel", job.native_id], check=True)
print(f"squeue fails three times: {ended.state.name}, and Slurm says {slurm}")
assert (status.state.name, status.exit_code) == ("COMPLETED", None), "it has changed"
assert (ended.state.name, slurm) == ("FAILED", "RUNNING"), "it has changed"
PYTHON
timeout 200 env/bin/python -u run.py 2>/dev/null
