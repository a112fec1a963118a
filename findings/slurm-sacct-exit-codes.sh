#!/usr/bin/env bash
# Slurm 22.05.8: sacct takes 128 off an exit code above 127, so a job that failed with 128 has FAILED with 0:0; as JSON all have succeeded.
#
# scontrol has the code as it was, for as long as the controller knows of the job. The accounting keeps it too, and sacct prints it less 128; `sacct
# --json` says SUCCESS and 0 of each job that failed by an exit code. A script that leaves by 128 plus the number of a signal, as shells do, is
# then one that left by a small number.
# Needs a Slurm with accounting, such as `scripts/slurm-up` starts; it is not stopped.
# Seen on 2026-11-29:
#   exit 3: scontrol 3:0, sacct FAILED|3:0, sacct --json SUCCESS 0
#   exit 128: scontrol 128:0, sacct FAILED|0:0, sacct --json SUCCESS 0
#   exit 143: scontrol 143:0, sacct FAILED|15:0, sacct --json SUCCESS 0
set -euo pipefail

sbatch --version | grep -qx 'slurm-wlm 22.05.8' || { echo "needs Slurm 22.05.8" >&2; exit 2; }
for code in 3 128 143; do
  id=$(sbatch --parsable --output=/dev/null --wrap "exit $code")
  for _ in $(seq 60); do
    told=$(sacct --noheader --allocations --parsable2 --jobs "$id" --format=State,ExitCode)
    [[ $told != FAILED* ]] || break
    sleep 1
  done
  known=$(scontrol show job "$id" | grep -o 'ExitCode=[0-9:]*')
  json=$(sacct --json --jobs "$id" | python3 -c 'import json, sys; code = json.load(sys.stdin)["jobs"][0]["exit_code"]; print(code["status"], code["return_code"])')
  echo "exit $code: scontrol ${known#*=}, sacct $told, sacct --json $json"
  [ "$known $told $json" = "ExitCode=$code:0 FAILED|$((code % 128)):0 SUCCESS 0" ] || { echo "it has changed" >&2; exit 1; }
done
