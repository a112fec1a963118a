#!/usr/bin/env bash
# cloudpickle 3.1.3: where a call runs, the fields of a script's dataclass that have no default seem to have one.
#
# dataclasses tells the lack of a default by the object MISSING itself, and a class that travels by value brings a copy of that along. Whatever looks at the fields of a dataclass
# there, to read a configuration, a command line or JSON into it, finds a default for what has to be given: an object of type _MISSING_TYPE. A class that can be imported is not affected.
# Seen on 2026-11-30, of the class Fit with `steps: int` and `seed: int = 0`:
#   fields without a default, here: steps
#   fields without a default, where the call runs: none
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet cloudpickle==3.1.3
cd "$directory"
cat >worker.py <<'PYTHON'
import pickle
import sys

print(pickle.load(sys.stdin.buffer)())
PYTHON
cat >caller.py <<'PYTHON'
import dataclasses
import subprocess
import sys

import cloudpickle


@dataclasses.dataclass
class Fit:
    steps: int
    seed: int = 0


def required():
    return " ".join(each.name for each in dataclasses.fields(Fit) if each.default is dataclasses.MISSING) or "none"


call = cloudpickle.dumps(required)
there = subprocess.run([sys.executable, "worker.py"], input=call, stdout=subprocess.PIPE, check=True).stdout.decode()
print("fields without a default, here:", required())
print("fields without a default, where the call runs:", there.strip())
assert (required(), there) == ("steps", "none\n"), "it has changed"
PYTHON
env/bin/python caller.py
