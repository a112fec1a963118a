#!/usr/bin/env bash
# Son of Grid Engine 8.1.9: `qsub -b y program 'a b' '*'` hands the program other arguments: split at spaces, expanded, without the empty ones.
#
# The arguments are put into one line, which a shell reads on the execution host: quotes that the shell here has taken away are missing
# there. `-shell n` leaves that shell out, and the arguments whole.
# Needs a Grid Engine, such as `scripts/gridengine-up` starts; it is not stopped.
# Seen on 2026-11-29 of the arguments 'a b', '' and '$SHELL':
#   -b y: <a> <b> </bin/bash>
#   -b y -shell n: <a b> <> <$SHELL>
set -euo pipefail

[ "$(qstat -help | head -n 1)" = "SGE 8.1.9" ] || { echo "needs Son of Grid Engine 8.1.9" >&2; exit 2; }
directory=$(mktemp -d)
chmod 755 "$directory"
trap 'rm -rf "$directory"' EXIT
printf '#!/bin/bash\nprintf "<%%s> " "$@"\n' >"$directory/program"
chmod 755 "$directory/program"
submitted() { # submitted ARGUMENTS OF qsub...: what the program was handed
  timeout 90 qsub -sync y -S /bin/bash -b y "$@" -o "$directory/out" -j y "$directory/program" 'a b' '' '$SHELL' >/dev/null
  for _ in $(seq 20); do [ ! -s "$directory/out" ] || break; sleep 0.5; done
  sed 's/ $//' "$directory/out"
  rm "$directory/out"
}
plain=$(submitted)
direct=$(submitted -shell n)
echo "-b y: $plain"
echo "-b y -shell n: $direct"
[ "$plain; $direct" = '<a> <b> </bin/bash>; <a b> <> <$SHELL>' ] || { echo "it has changed" >&2; exit 1; }
