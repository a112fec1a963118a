#!/usr/bin/env bash
# doit 0.37.0: `date +%s` in an action does not print the time: doit puts its own dictionary in the place of %s.
#
# Each command line is formatted by Python's % with the task's targets and dependencies, whether it names any or not. With a dictionary %s stands for
# all of it, so that nothing fails: the command runs with other words than it was written with. (`%Y` is an error; `%%s` is what the shell gets as %s.)
# Seen on 2026-11-30:
#   echo when +%s: when +{targets: , dependencies: , changed: }
#   echo when +%%s: when +%s
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet doit==0.37.0
cd "$directory"
cat >dodo.py <<'PYTHON'
def task_one():
    return {"actions": ["echo when +%s"], "verbosity": 2}


def task_two():
    return {"actions": ["echo when +%%s"], "verbosity": 2}
PYTHON
one=$(env/bin/doit --verbosity 2 one | grep when)
two=$(env/bin/doit --verbosity 2 two | grep when)
echo "echo when +%s: $one"
echo "echo when +%%s: $two"
[ "$one" = "when +{targets: , dependencies: , changed: }" ] && [ "$two" = "when +%s" ] || { echo "it has changed" >&2; exit 1; }
