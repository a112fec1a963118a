#!/usr/bin/env bash
# Slurm 22.05.8: a job that was submitted by a task of an array believes to be that task, and one that asks for memory in another way cannot use srun.
#
# sbatch hands on the variables of the job that it is called in, and the new job overwrites those only that it has itself. One that is no array keeps
# SLURM_ARRAY_JOB_ID and SLURM_ARRAY_TASK_ID of the other: whatever takes its share of the work, or its id, from them takes that of somebody else. submitit 1.5.4 does the
# latter. SLURM_MEM_PER_NODE and SLURM_MEM_PER_CPU may so both be set, which srun refuses. `--export=NONE`, or unsetting SLURM_*, helps.
# Needs a Slurm, such as `scripts/slurm-up` starts; it is not stopped.
# Seen on 2026-11-30 of a job that the task 7 of an array with --mem submits with --mem-per-cpu:
#   array job of the first: yes, task 7, and submitit has it for the job <array>_7
#   srun: fatal: SLURM_MEM_PER_CPU, SLURM_MEM_PER_GPU, and SLURM_MEM_PER_NODE are mutually exclusive.
set -euo pipefail

sbatch --version | grep -qx 'slurm-wlm 22.05.8' || { echo "needs Slurm 22.05.8" >&2; exit 2; }
directory=$(mktemp -d)
chmod 755 "$directory"
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet submitit==1.5.4
cd "$directory"
cat >inner.sh <<'SCRIPT'
#!/bin/sh
echo "$SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID"
env/bin/python -c 'from submitit.slurm.slurm import SlurmJobEnvironment as Job; print(Job().job_id)'
srun true 2>&1
SCRIPT
cat >outer.sh <<'SCRIPT'
#!/bin/sh
sbatch --wait --mem-per-cpu=50M --output=seen inner.sh
SCRIPT
id=$(timeout 120 sbatch --parsable --wait --array=7 --mem=100M --output=/dev/null outer.sh) || true
{ read -r array task && read -r named && read -r told; } <seen
[ "$array" = "$id" ] && ours=yes || ours=no
echo "array job of the first: $ours, task $task, and submitit has it for the job ${named/$id/<array>}"
echo "$told"
[ "$ours $task $named" = "yes 7 ${id}_7" ] && [[ $told == "srun: fatal: "*"mutually exclusive." ]] || { echo "it has changed" >&2; exit 1; }
