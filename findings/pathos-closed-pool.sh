#!/usr/bin/env bash
# pathos 0.3.5: a pool that is made anew after another one was closed is closed from the start: "Pool not running".
#
# ProcessingPool(1) is no new pool: pathos keeps one for each number of workers, and gives it to whoever asks, closed ones too. Of two functions that each make,
# use and close a pool, the second fails; with another number of workers it does not. `clear()` after `join()` forgets the pool.
# Seen on 2026-11-30:
#   first pool of 1: [1]
#   second pool of 1: ValueError('Pool not running')
#   pool of 2: [1]
#   third pool of 1, after clear(): [1]
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet pathos==0.3.5
cd "$directory"
cat >run.py <<'PYTHON'
from pathos.multiprocessing import ProcessingPool


def told(workers):
    pool = ProcessingPool(workers)
    try:
        return pool.map(abs, [-1])
    except ValueError as error:
        return repr(error)
    finally:
        pool.close()
        pool.join()


if __name__ == "__main__":
    print(f"first pool of 1: {told(1)}")
    print(f"second pool of 1: {told(1)}")
    print(f"pool of 2: {told(2)}")
    ProcessingPool(1).clear()
    print(f"third pool of 1, after clear(): {told(1)}")
PYTHON
told=$(timeout 60 env/bin/python run.py)
echo "$told"
[ "$told" = "first pool of 1: [1]
second pool of 1: ValueError('Pool not running')
pool of 2: [1]
third pool of 1, after clear(): [1]" ] || { echo "it has changed" >&2; exit 1; }
