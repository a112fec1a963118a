#!/usr/bin/env bash
# Slurm 22.05.8: a job that is to run after the success, or after the failure, of a job that does not exist runs at once.
#
# `sbatch --dependency` refuses a word that it does not know, not an id. A job is unknown also once it has ended and the controller has
# forgotten it, which is after five minutes by default (MinJobAge): from then on "after its success" holds of a job that has failed.
# Needs a Slurm, such as `scripts/slurm-up` starts; it is not stopped.
# Seen on 2026-11-29:
#   afterok:990000: accepted, and it ran
#   afternotok:990000: accepted, and it ran
set -euo pipefail

sbatch --version | grep -qx 'slurm-wlm 22.05.8' || { echo "needs Slurm 22.05.8" >&2; exit 2; }
! scontrol show job 990000 >/dev/null 2>&1 || { echo "there is a job 990000 here" >&2; exit 2; }
for kind in afterok afternotok; do
  ran=$(timeout 60 sbatch --wait --output=/dev/null --dependency="$kind:990000" --wrap 'exit 7' >/dev/null 2>&1 && echo $? || echo $?)
  [ "$ran" = 7 ] || { echo "it has changed: $kind exits with $ran" >&2; exit 1; }
  echo "$kind:990000: accepted, and it ran"
done
