#!/usr/bin/env bash
# Son of Grid Engine 8.1.9: `-l h_rt=2m` is a limit of 23 days, and `-l h_rt=0100` one of 64 seconds.
#
# Letters behind a time are those of memory: k and m are 1000 and 1,000,000, K and M 1024 and 1024 times that. The manual (sge_types) knows none for times. 2h, 90s and 1:30
# are refused, so that 2m looks like what is taken. A zero in front makes the number octal, which the manual says, and a program that pads its numbers does not expect.
# Needs a Grid Engine, such as `scripts/gridengine-up` starts; it is not stopped.
# Seen on 2026-11-30 of what a job asks for, in seconds:
#   2m: 2000000
#   2M: 2097152
#   0100: 64
#   1:40: refused
#   0:1:40: 100
set -euo pipefail

[ "$(qstat -help | head -n 1)" = "SGE 8.1.9" ] || { echo "needs Son of Grid Engine 8.1.9" >&2; exit 2; }
seen=$(sed -n 's/^#   \([0-9].*\)/\1/p' "$0")
id=
trap '[ -z "$id" ] || qdel "$id" >/dev/null' EXIT
told=$(
  trap - EXIT
  for limit in 2m 2M 0100 1:40 0:1:40; do
    if id=$(qsub -h -terse -b y -o /dev/null -j y -l "h_rt=$limit" true 2>/dev/null); then
      seconds=$(qstat -j "$id" | sed -n 's/^hard resource_list: *h_rt=//p')
      qdel "$id" >/dev/null
    else
      seconds=refused
    fi
    echo "$limit: $seconds"
  done
)
echo "$told"
[ "$told" = "$seen" ] || { echo "it has changed" >&2; exit 1; }
