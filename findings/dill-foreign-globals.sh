#!/usr/bin/env bash
# dill 0.4.1: a function of one script, read by another, computes with the variables of the script that reads it.
#
# It is pickled by value, with its code, and without its globals: these are said to be those of __main__, which is another program there. A name that is missing is an
# error, which is seen; one that is there as well (RATE, STEPS, a helper with the same name) is used. So a queue of pickled functions gives results that depend on who works on it.
# `recurse=True` brings what the function names along; cloudpickle 3.1.3 always does.
# Seen on 2026-12-01 of `def cost(hours): return hours * RATE` with RATE = 2, called with 10 by a script with RATE = 100:
#   dill 1000, dill with recurse 20, cloudpickle 20
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet dill==0.4.1 cloudpickle==3.1.3
cd "$directory"
cat >write.py <<'PYTHON'
import cloudpickle
import dill

RATE = 2


def cost(hours):
    return hours * RATE


for name, content in (
    ("dill", dill.dumps(cost)),
    ("recurse", dill.dumps(cost, recurse=True)),
    ("cloudpickle", cloudpickle.dumps(cost)),
):
    with open(name, "wb") as file:
        file.write(content)
PYTHON
cat >read.py <<'PYTHON'
import dill

RATE = 100


def read(name):
    with open(name, "rb") as file:
        return dill.load(file)(10)


found = [read("dill"), read("recurse"), read("cloudpickle")]
print("dill {}, dill with recurse {}, cloudpickle {}".format(*found))
assert found == [1000, 20, 20], "it has changed"
PYTHON
env/bin/python write.py
env/bin/python read.py
