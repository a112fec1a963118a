#!/usr/bin/env bash
# Son of Grid Engine 8.1.9: a job that was submitted with `-r n`, not to be run again, is run again if it exits with 99.
#
# The code 99 asks for another run, whoever gives it: a program of yours that happens to know 99 as an error runs over and over, without end
# and without a message. `-r n` speaks of crashes of the host only. Each run leaves a row in the accounting.
# Needs a Grid Engine, such as `scripts/gridengine-up` starts; it is not stopped.
# Seen on 2026-11-29 of a job that exits with 99 twice, and then with 0:
#   it ran 3 times: exit_status 99, 99, 0
set -euo pipefail

[ "$(qstat -help | head -n 1)" = "SGE 8.1.9" ] || { echo "needs Son of Grid Engine 8.1.9" >&2; exit 2; }
directory=$(mktemp -d)
chmod 755 "$directory"
trap 'rm -rf "$directory"' EXIT
cat >"$directory/job.sh" <<SCRIPT
echo run >>"$directory/runs"
[ "\$(wc -l <"$directory/runs")" -ge 3 ] || exit 99
SCRIPT
id=$(qsub -terse -r n -S /bin/bash -o /dev/null -j y "$directory/job.sh")
for _ in $(seq 120); do ! qstat -j "$id" >/dev/null 2>&1 && break; sleep 1; done
for _ in $(seq 30); do codes=$(qacct -j "$id" 2>/dev/null | awk '$1 == "exit_status" {print $2}' | paste -sd, | sed 's/,/, /g'); [[ $codes != *" 0" ]] || break; sleep 1; done
runs=$(wc -l <"$directory/runs")
echo "it ran $runs times: exit_status $codes"
[ "$runs: $codes" = "3: 99, 99, 0" ] || { echo "it has changed" >&2; exit 1; }
