#!/usr/bin/env bash
# joblib 1.6.0, diskcache 5.6.3, Parsl 2026.10.26: two functions that were made by one factory share what was remembered of them.
#
# times(2) and times(3) have the same name and the same text; what differs is what they close over, and that is in no key. So times(3)(10) is 20
# once times(2)(10) is known. The same befalls functions that functools.wraps has given one name.
# Seen on 2026-11-29:
#   joblib.Memory: 20 20
#   diskcache.Cache.memoize: 20 20
#   parsl.python_app(cache=True): 20 20
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet joblib==1.6.0 diskcache==5.6.3 parsl==2026.10.26
cd "$directory"
cat >run.py <<'PYTHON'
import diskcache
import joblib
import parsl
from parsl.config import Config
from parsl.executors import ThreadPoolExecutor


def times(factor):
    def product(x):
        return factor * x

    return product


def show(name, two, three):
    found = (two(10), three(10))
    print(f"{name}:", *found)
    assert found == (20, 20), "it has changed"


memory = joblib.Memory("joblib", verbose=0)
show("joblib.Memory", memory.cache(times(2)), memory.cache(times(3)))
cache = diskcache.Cache("diskcache")
show("diskcache.Cache.memoize", cache.memoize()(times(2)), cache.memoize()(times(3)))
with parsl.load(Config(executors=[ThreadPoolExecutor()], initialize_logging=False)):
    two, three = (parsl.python_app(times(factor), cache=True) for factor in (2, 3))
    show("parsl.python_app(cache=True)", lambda x: two(x).result(), lambda x: three(x).result())
PYTHON
timeout 120 env/bin/python -W ignore run.py
