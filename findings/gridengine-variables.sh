#!/usr/bin/env bash
# Son of Grid Engine 8.1.9: `qsub -v LIST=a,b` sets LIST to `a`, and hands over the variable `b` of the caller's.
#
# A comma ends a value, and there is no way to write one: a backslash before it stays, quotes stay too. What is behind the comma is taken for
# the name of another variable, and if there is none of that name, for that of an empty one. `-v LIST`, without a value, takes it from the
# environment whole.
# Needs a Grid Engine, such as `scripts/gridengine-up` starts; it is not stopped.
# Seen on 2026-11-29:
#   -v LIST=a,b: LIST=<a> b=<of the caller>
#   -v LIST=a\,b: LIST=<a\> b=<of the caller>
#   -v LIST: LIST=<a,b> b=<>
set -euo pipefail

[ "$(qstat -help | head -n 1)" = "SGE 8.1.9" ] || { echo "needs Son of Grid Engine 8.1.9" >&2; exit 2; }
directory=$(mktemp -d)
chmod 755 "$directory"
trap 'rm -rf "$directory"' EXIT
echo 'echo "LIST=<$LIST> b=<$b>"' >"$directory/job.sh"
export LIST=a,b b="of the caller"
for given in 'LIST=a,b' 'LIST=a\,b' 'LIST'; do
  timeout 90 qsub -sync y -S /bin/bash -v "$given" -o "$directory/out" -j y "$directory/job.sh" >/dev/null
  for _ in $(seq 20); do [ ! -s "$directory/out" ] || break; sleep 0.5; done
  echo "-v $given: $(cat "$directory/out")"
  rm "$directory/out"
done | tee "$directory/seen"
printf '%s\n' '-v LIST=a,b: LIST=<a> b=<of the caller>' '-v LIST=a\,b: LIST=<a\> b=<of the caller>' '-v LIST: LIST=<a,b> b=<>' |
  cmp -s - "$directory/seen" || { echo "it has changed" >&2; exit 1; }
