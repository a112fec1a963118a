#!/usr/bin/env bash
# MPIRE 2.10.2: WorkerPool.map gives a function the parts of an item that is a tuple, a list or a dict, not the item.
#
# It stands where multiprocessing.Pool stood, whose map gives the item as it is. A function of one argument that takes a point (x, y) fails, which is seen; one
# with *args, or with a second argument that has a default, goes on with something else. A tuple around the item keeps it whole.
# Seen on 2026-11-30 of `def norm(point, order=2)`, mapped over one item:
#   multiprocessing.Pool.map, (3, 4): point=(3, 4) order=2
#   WorkerPool.map, (3, 4): point=3 order=4
#   WorkerPool.map, [3, 4]: point=3 order=4
#   WorkerPool.map, {'point': 3}: point=3 order=2
#   WorkerPool.map, ((3, 4),): point=(3, 4) order=2
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet mpire==2.10.2
cd "$directory"
cat >run.py <<'PYTHON'
from multiprocessing import Pool

from mpire import WorkerPool


def norm(point, order=2):
    return f"point={point} order={order}"


if __name__ == "__main__":
    with Pool(1) as pool:
        plain = pool.map(norm, [(3, 4)])
    print(f"multiprocessing.Pool.map, (3, 4): {plain[0]}")
    items = [(3, 4), [3, 4], {"point": 3}, ((3, 4),)]
    with WorkerPool(1) as pool:
        found = pool.map(norm, items)
    for item, text in zip(items, found):
        print(f"WorkerPool.map, {item}: {text}")
    assert plain == ["point=(3, 4) order=2"]
    assert found == [*["point=3 order=4"] * 2, "point=3 order=2", plain[0]], "it has changed"
PYTHON
timeout 60 env/bin/python run.py
