#!/usr/bin/env bash
# cloudpickle 3.1.3: reading a result sets the attributes of the caller's class back to what they were when the call was sent.
#
# A class of a script or a notebook travels by value, with what its attributes are then. An instance that comes back brings the class along; it is
# recognised as the one that is here, and all the same its attributes are set to those in the pickle. So a counter, a registry or a
# method that was replaced meanwhile is as before, and nothing says so. A class that can be imported travels by its name, and is left alone.
# Seen on 2026-11-29:
#   sent with 1, changed to 42; after the result was read: 1 (and it is the same class: True)
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet cloudpickle==3.1.3
cd "$directory"
cat >worker.py <<'PYTHON'
import pickle
import sys

import cloudpickle

function = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(cloudpickle.dumps(function()))
PYTHON
cat >caller.py <<'PYTHON'
import pickle
import subprocess
import sys

import cloudpickle


class Particle:
    made = 1


call = cloudpickle.dumps(lambda: Particle())
Particle.made = 42
answer = subprocess.run([sys.executable, "worker.py"], input=call, stdout=subprocess.PIPE, check=True).stdout
result = pickle.loads(answer)
same = type(result) is Particle
print(f"sent with 1, changed to 42; after the result was read: {Particle.made} (and it is the same class: {same})")
assert same and Particle.made == 1, "it has changed"
PYTHON
env/bin/python caller.py
