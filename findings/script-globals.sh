#!/usr/bin/env bash
# loky 3.7.0, executorlib 1.11.0: a function of a script finds its globals as at the start in each call, though the process is the same.
#
# What is defined in __main__ travels by value with each call, and its globals along. So a model that is to be loaded once, and kept in a global, is loaded for each call; a
# counter stays at 1. The same function in a module that is imported keeps them, and so does the ProcessPoolExecutor of Python, for both.
# Seen on 2026-11-30, of three calls in one process, each of which adds one to a global:
#   loky: 1 1 1, from a module 1 2 3
#   executorlib: 1 1 1, from a module 1 2 3
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet loky==3.7.0 executorlib==1.11.0
cd "$directory"
cat >counting.py <<'PYTHON'
calls = 0


def count(number):
    global calls
    calls += 1
    return calls
PYTHON
cat >script.py <<'PYTHON'
import importlib
import os

import loky
from executorlib import SingleNodeExecutor

os.environ["PYTHONPATH"] = os.getcwd()
calls = 0


def count(number):
    global calls
    calls += 1
    return calls


def by_loky(function):
    with loky.ProcessPoolExecutor(1) as executor:
        return [executor.submit(function, n).result() for n in range(3)]



def by_executorlib(function):
    with SingleNodeExecutor(max_workers=1, block_allocation=True) as executor:
        return [executor.submit(function, n).result() for n in range(3)]


if __name__ == "__main__":
    imported = importlib.import_module("counting").count
    for name, by in (("loky", by_loky), ("executorlib", by_executorlib)):
        own, other = by(count), by(imported)
        print(f"{name}:", *own, end=", from a module ")
        print(*other)
        assert (own, other) == ([1, 1, 1], [1, 2, 3]), "it has changed"
PYTHON
env/bin/python -W ignore script.py
