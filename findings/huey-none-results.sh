#!/usr/bin/env bash
# huey 3.5.4: a task that returns None leaves no result, so whoever waits for it waits until the timeout, though it is done.
#
# None in the store is how huey tells that there is no result yet. A timeout is no sign that the task did not run, and without one the wait has no
# end. `store_none=True` keeps it. And who reads a result by its id takes it away: the next one, and the handle, find nothing.
# Seen on 2026-11-30:
#   returns 7: 7
#   returns 7, read by its id, twice: 7 None
#   returns None: ResultTimeout, and it ran 1 time
#   returns None, store_none=True: None
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet huey==3.5.4
cd "$directory"
cat >run.py <<'PYTHON'
from huey import SqliteHuey
from huey.exceptions import ResultTimeout

ran = []


def give(value):
    ran.append(value)
    return value


def done(queue, task, value):
    handle = task(value)
    queue.execute(queue.dequeue())
    return handle


def told(handle):
    try:
        return repr(handle.get(blocking=True, timeout=1))
    except ResultTimeout:
        return "ResultTimeout"


plain, keeping = SqliteHuey(filename="plain.db"), SqliteHuey(filename="keeping.db", store_none=True)
plain_task, keeping_task = plain.task()(give), keeping.task()(give)
lines = [f"returns 7: {told(done(plain, plain_task, 7))}"]
number = done(plain, plain_task, 7).id
lines.append(f"returns 7, read by its id, twice: {plain.result(number)} {plain.result(number)}")
ran.clear()
lines.append(f"returns None: {told(done(plain, plain_task, None))}, and it ran {len(ran)} time")
lines.append(f"returns None, store_none=True: {told(done(keeping, keeping_task, None))}")
print(*lines, sep="\n")
assert [line.split(": ")[1] for line in lines] == ["7", "7 None", "ResultTimeout, and it ran 1 time", "None"], "it has changed"
PYTHON
timeout 60 env/bin/python -W ignore run.py
