#!/usr/bin/env bash
# Hydra 1.3.8: a job of a sweep that ends by sys.exit(0) ends the sweep: those behind it never run, and the exit code is 0.
#
# A job that raises does not: all are run, and the first exception is raised at the end. sys.exit raises too, but what is no Exception is not
# caught: so a program that is fit to be run alone, and says that it went well, silently cuts its sweep short.
# Seen on 2026-11-29 of `--multirun +n=0,1,2`, where the job 1 does this:
#   raise ValueError: ran 0 1 2, exit code 1
#   sys.exit(0): ran 0 1, exit code 0
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet hydra-core==1.3.8
cd "$directory"
cat >app.py <<'PYTHON'
import sys

import hydra


@hydra.main(version_base=None, config_path=None)
def main(settings):
    with open(f"{settings.log}", "a") as log:
        print(settings.n, file=log)
    if settings.n == 1:
        if settings.leave:
            sys.exit(0)
        raise ValueError("no such data")


main()
PYTHON
sweep() { # sweep LEAVE LOG: the numbers of the jobs that ran, and the exit code
  timeout 120 env/bin/python app.py --multirun +n=0,1,2 "+leave=$1" "+log=$directory/$2" >/dev/null 2>&1 && code=0 || code=$?
  echo "ran $(paste -sd' ' "$2"), exit code $code"
}
raised=$(sweep false raised)
left=$(sweep true left)
echo "raise ValueError: $raised"
echo "sys.exit(0): $left"
[ "$raised; $left" = "ran 0 1 2, exit code 1; ran 0 1, exit code 0" ] || { echo "it has changed" >&2; exit 1; }
