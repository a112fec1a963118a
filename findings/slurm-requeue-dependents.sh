#!/usr/bin/env bash
# Slurm 22.05.8: what waits for a job that failed goes on waiting after that job was requeued and has succeeded.
#
# `scontrol requeue` is how a failed job is run again under its id. Its dependents were marked by its failure, and nothing takes the mark
# off: they stay in the queue, with DependencyNeverSatisfied, until somebody gives them another dependency or cancels them.
# Needs a Slurm with accounting, such as `scripts/slurm-up` starts; it is not stopped.
# Seen on 2026-11-29:
#   first: COMPLETED after 1 requeue
#   second, afterok of the first: PENDING (DependencyNeverSatisfied)
set -euo pipefail

sbatch --version | grep -qx 'slurm-wlm 22.05.8' || { echo "needs Slurm 22.05.8" >&2; exit 2; }
state() { scontrol show job "$1" | grep -o 'JobState=[A-Z]*' | cut -d= -f2; }
await() { # await ID STATE
  for _ in $(seq 120); do [ "$(state "$1")" != "$2" ] || return 0; sleep 0.5; done
  echo "job $1 is $(state "$1"), not $2" >&2
  exit 2
}
first=$(sbatch --parsable --output=/dev/null --wrap 'test "${SLURM_RESTART_COUNT:-0}" -gt 0')
second=$(sbatch --parsable --output=/dev/null --dependency="afterok:$first" --wrap true)
trap 'scancel "$first" "$second"' EXIT
await "$first" FAILED
for _ in $(seq 120); do
  [ "$(squeue --noheader --jobs "$second" --format=%r)" != DependencyNeverSatisfied ] || break
  sleep 0.5
done
scontrol requeue "$first"
await "$first" PENDING
scontrol update "JobId=$first" StartTime=now # else it waits for two minutes
await "$first" COMPLETED
sleep 65 # longer than the scheduler leaves its queue unlooked at
restarts=$(scontrol show job "$first" | grep -o 'Restarts=[0-9]*' | cut -d= -f2)
waits=$(squeue --noheader --jobs "$second" --format='%T (%r)')
echo "first: COMPLETED after $restarts requeue"
echo "second, afterok of the first: $waits"
[ "$waits" = "PENDING (DependencyNeverSatisfied)" ] || { echo "it has changed" >&2; exit 1; }
