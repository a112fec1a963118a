#!/usr/bin/env bash
# joblib 1.6.0: Memory computes anew for arguments that are equal to those it knows, if a tuple or a list occurs in them twice.
#
# joblib.hash() hashes a pickle, and in a pickle the second occurrence of one object is a reference to the first. So [t, t] has another hash than
# [(1, 2), (1, 2)]: whether a call is known depends on how its arguments were put together. Strings are looked after by joblib, other objects are not.
# Seen on 2026-11-29:
#   equal: True, hashes equal: False, computed 2 times
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet joblib==1.6.0
cd "$directory"
cat >run.py <<'PYTHON'
import joblib

computed = []


def total(points):
    computed.append(points)
    return sum(x + y for x, y in points)


cached = joblib.Memory("cache", verbose=0).cache(total)
point = (1, 2)
shared, apart = [point, point], [(1, 2), tuple([1, 2])]
cached(shared)
cached(apart)
same = joblib.hash(shared) == joblib.hash(apart)
print(f"equal: {shared == apart}, hashes equal: {same}, computed {len(computed)} times")
assert shared == apart
assert not same and len(computed) == 2, "it has changed"
PYTHON
env/bin/python run.py
