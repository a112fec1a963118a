#!/usr/bin/env bash
# Parsl 2026.10.26: an app with cache=True remembers that it has failed, and is not tried again.
#
# What is asked for once more, in the hope that a server answers by now, raises the first exception again without running. Retries of the
# configuration come before that: it is the last one's exception that stays.
# Seen on 2026-11-29:
#   1: ConnectionError('attempt 1')
#   2: ConnectionError('attempt 1')
#   it ran 1 times
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet parsl==2026.10.26
cd "$directory"
cat >run.py <<'PYTHON'
import parsl
from parsl.config import Config
from parsl.executors import ThreadPoolExecutor

attempts = []


@parsl.python_app(cache=True)
def fetch(name):
    attempts.append(name)
    raise ConnectionError(f"attempt {len(attempts)}")


with parsl.load(Config(executors=[ThreadPoolExecutor()], initialize_logging=False)):
    for number in (1, 2):
        print(f"{number}: {fetch('data').exception()!r}")
print(f"it ran {len(attempts)} times")
assert len(attempts) == 1, "it has changed"
PYTHON
timeout 120 env/bin/python -W ignore run.py
