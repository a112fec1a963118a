#!/usr/bin/env bash
# dask-jobqueue 0.9.0 with PyYAML 6.0.3: `walltime: 1:00:00` in the configuration file asks Slurm for sixty hours; 01:00:00 asks for one.
#
# YAML 1.1 takes 1:00:00 for a number to the base of sixty, 3600, if its first digit is not a zero. The job script then says `-t 3600`, and a number
# without colons is minutes to Slurm. The default in the file that comes with it is quoted ('00:30:00'), and does not say why.
# Seen on 2026-11-30:
#   walltime: 1:00:00 -> 3600 -> #SBATCH -t 3600
#   walltime: 01:00:00 -> '01:00:00' -> #SBATCH -t 01:00:00
set -euo pipefail

seen=$(sed -n 's/^#   \(walltime: .*\)/\1/p' "$0")
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet dask-jobqueue==0.9.0 distributed==2026.8.0 dask==2026.8.0 pyyaml==6.0.3
cd "$directory"
cat >show.py <<'PYTHON'
import sys
from pathlib import Path

import dask.config
from dask_jobqueue import SLURMCluster

written = sys.argv[1]
Path("config").mkdir(exist_ok=True)
Path("config/jobqueue.yaml").write_text(f"jobqueue:\n  slurm:\n    walltime: {written}\n")
dask.config.refresh(paths=["config"])
value = dask.config.get("jobqueue.slurm.walltime")
options = {"dashboard_address": None, "host": "127.0.0.1"}
with SLURMCluster(cores=1, memory="1GB", walltime=value, scheduler_options=options) as cluster:
    (line,) = [line for line in cluster.job_script().splitlines() if " -t " in line]
print(f"walltime: {written} -> {value!r} -> {line}")
PYTHON
told=$(for walltime in 1:00:00 01:00:00; do TMPDIR=$directory timeout 120 env/bin/python -W ignore show.py "$walltime"; done)
echo "$told"
[ "$told" = "$seen" ] || { echo "it has changed" >&2; exit 1; }
