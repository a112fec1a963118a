#!/usr/bin/env bash
# PSI/J 0.9.11: a job that needs 8 cores, a GPU and 90 minutes asks PBS for 1 core and no GPU, LSF for 1 slot, Cobalt for no time.
#
# ResourceSpecV1 is the same for all executors, and each writes of it what its template has; the rest is left out without a word. Of cpu_cores_per_process
# Slurm alone is told, of GPUs Slurm, LSF and Torque. Cobalt's template has a line for the time, with a name in it that nothing gives: it is empty.
# Seen on 2026-11-30 of what each is asked for:
#   slurm: --nodes=1 --ntasks=1 --ntasks-per-node=1 --gpus-per-task=1 --cpus-per-task=8 --time=1:30:0
#   pbs: select=1:ncpus=1:mpiprocs=1 walltime=1:30:0
#   lsf: -nnodes 1 -n 1 -gpu num=1/task -W 1:30
#   cobalt: --nodecount=1 --proccount=1 --time=''
set -euo pipefail

seen=$(sed -n 's/^#   \([a-z]*: .*\)/\1/p' "$0")
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet psij-python==0.9.11
cd "$directory"
mkdir bin
for name in sbatch qsub bsub; do # they keep the script, and answer
  printf '#!/bin/sh\ncp "$1" "%s/script"\necho "Job <1234>"\n' "$directory" >"bin/$name"
  chmod +x "bin/$name"
done
cat >run.py <<'PYTHON'
import os
import re
import sys
from datetime import timedelta
from pathlib import Path

from psij import Job, JobAttributes, JobExecutor, JobExecutorConfig, JobSpec, ResourceSpecV1

needs = ResourceSpecV1(cpu_cores_per_process=8, gpu_cores_per_process=1)
limits = JobAttributes(duration=timedelta(minutes=90))
executor = JobExecutor.get_instance(sys.argv[1], config=JobExecutorConfig(work_directory=Path("work").absolute()))
executor.submit(Job(JobSpec("/bin/true", resources=needs, attributes=limits)))
asked = re.findall(r"^#(?:SBATCH|PBS -l|BSUB|COBALT) (.*)", Path("script").read_text(), re.MULTILINE)
word = r"--(nodes|ntasks|gpus|cpus|time|nodecount|proccount)|select|walltime|-(nnodes|n|gpu|W) "
print(f"{sys.argv[1]}:", *(each for each in asked if re.match(word, each)), flush=True)
os._exit(0)  # its threads would hold it
PYTHON
told=$(for name in slurm pbs lsf cobalt; do PATH="$PWD/bin:$PATH" timeout 60 env/bin/python run.py "$name" 2>/dev/null; done)
echo "$told"
[ "$told" = "$seen" ] || { echo "it has changed" >&2; exit 1; }
