#!/usr/bin/env bash
# Slurm 22.05.8: `sbatch --wait` exits with 0 for a job that was cancelled before it began.
#
# Its exit code is said to be that of the job, and of one that is cancelled while it runs it is 1. One that never ran has no exit code but 0: so
# `sbatch --wait prepare.sh && sbatch compute.sh` goes on, whether somebody has cancelled it in the queue or its own dependency has failed.
# Needs a Slurm, such as `scripts/slurm-up` starts; it is not stopped.
# Seen on 2026-11-29:
#   cancelled while it ran: 1
#   cancelled while it waited: 0
#   cancelled since what it depends on has failed: 0
set -euo pipefail

sbatch --version | grep -qx 'slurm-wlm 22.05.8' || { echo "needs Slurm 22.05.8" >&2; exit 2; }
name=finding-$$
waited() { # waited ARGUMENTS...: submit a job and wait; its exit code
  timeout 90 sbatch --wait --job-name "$name" --output=/dev/null "$@" >/dev/null 2>&1 && echo 0 || echo $?
}
cancel_once() { # cancel_once STATE: the job, as soon as it is in that state
  for _ in $(seq 60); do
    [ -z "$(squeue --noheader --name "$name" --states "$1")" ] || { scancel --name "$name" && return; }
    sleep 0.5
  done
}
cancel_once RUNNING &
running=$(waited --wrap 'sleep 60')
wait
cancel_once PENDING &
pending=$(waited --hold --wrap true)
wait
failed=$(sbatch --parsable --hold --output=/dev/null --wrap false)
(sleep 2; scontrol release "$failed") &
dependent=$(waited --dependency="afterok:$failed" --kill-on-invalid-dep=yes --wrap true)
wait
echo "cancelled while it ran: $running"
echo "cancelled while it waited: $pending"
echo "cancelled since what it depends on has failed: $dependent"
[ "$running $pending $dependent" = "1 0 0" ] || { echo "it has changed" >&2; exit 1; }
