#!/usr/bin/env bash
# loky 3.7.0, joblib 1.6.0, Pebble 5.2.3: a call in another process that leaves by sys.exit(0) ends, with success, the program that wants its result.
#
# The worker catches SystemExit, sends it back like any exception, and result() raises it in the caller: where it does what it always does. `except
# Exception` does not hold it, and the program ends with exit code 0 in the middle. The ProcessPoolExecutor of Python does the same.
# Seen on 2026-11-29:
#   loky: exit code 0, nothing behind result() has run
#   joblib: exit code 0, nothing behind result() has run
#   pebble: exit code 0, nothing behind result() has run
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet loky==3.7.0 joblib==1.6.0 pebble==5.2.3
cd "$directory"
cat >run.py <<'PYTHON'
import sys


def by_loky():
    from loky import get_reusable_executor

    return get_reusable_executor(max_workers=1).submit(sys.exit, 0).result(60)


def by_joblib():
    from joblib import Parallel, delayed

    return Parallel(n_jobs=2)(delayed(sys.exit)(0) for _ in range(2))


def by_pebble():
    from pebble import ProcessPool

    with ProcessPool(1) as pool:
        return pool.submit(sys.exit, 60, 0).result(60)


if __name__ == "__main__":
    try:
        globals()[f"by_{sys.argv[1]}"]()
    except Exception as error:
        print(f"raised {error!r}")
    print("went on")
PYTHON
for library in loky joblib pebble; do
  told=$(timeout 90 env/bin/python run.py "$library" 2>/dev/null) && code=0 || code=$?
  [ "$code: $told" = "0: " ] || { echo "it has changed: $library, exit code $code: $told" >&2; exit 1; }
  echo "$library: exit code 0, nothing behind result() has run"
done
