#!/usr/bin/env bash
# Slurm 22.05.8: `squeue --json --jobs ID` lists all jobs that the controller knows of.
#
# Without --json the same command lists the one that was asked for. With it, the filter is passed over without a word: who takes the first
# job of the answer has that of somebody else.
# Needs a Slurm, such as `scripts/slurm-up` starts; it is not stopped.
# Seen on 2026-11-29:
#   asked for job 517: squeue 1 job, squeue --json more than 1
set -euo pipefail

squeue --version | grep -qx 'slurm-wlm 22.05.8' || { echo "needs Slurm 22.05.8" >&2; exit 2; }
first=$(sbatch --parsable --hold --output=/dev/null --wrap true)
second=$(sbatch --parsable --hold --output=/dev/null --wrap true)
trap 'scancel "$first" "$second"' EXIT
plain=$(squeue --noheader --jobs "$second" | wc -l)
json=$(squeue --json --jobs "$second" | python3 -c 'import json, sys; print("\n".join(str(each["job_id"]) for each in json.load(sys.stdin)["jobs"]))')
echo "asked for job $second: squeue $plain job, squeue --json $([ "$(wc -l <<<"$json")" -gt 1 ] && echo 'more than 1' || echo 1)"
[ "$plain" = 1 ] && grep -qx "$first" <<<"$json" && grep -qx "$second" <<<"$json" || { echo "it has changed" >&2; exit 1; }
