#!/usr/bin/env bash
# executorlib 1.11.0: with cache_directory= a function of a module that was corrected since gives the result of before.
#
# What is remembered is found by a hash of the pickled call. A function of the script itself is pickled with its code, so that a change counts; one that is imported is
# pickled by its name, and then its code is in no hash. Moving a function from the script into a module of one's own thus turns that off.
# Seen on 2026-11-30 of fit(3), with `x + 1` and then with `x * 100`:
#   in the script: 4, then 300
#   in a module: 4, then 4
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet executorlib==1.11.0 h5py
cd "$directory"
export PYTHONDONTWRITEBYTECODE=1 # else a file of the same second counts as unchanged to Python itself
cat >run.py <<'PYTHON'
from executorlib import SingleNodeExecutor

from model import fit

if __name__ == "__main__":
    with SingleNodeExecutor(cache_directory="cache") as executor:
        print(executor.submit(fit, 3).result(timeout=60))
PYTHON
of_script() { sed "s/^from model import fit/def fit(x): return $1/" run.py >script.py && timeout 90 env/bin/python script.py; }
of_module() { echo "def fit(x): return $1" >model.py && timeout 90 env/bin/python run.py; }
told="in the script: $(of_script 'x + 1'), then $(of_script 'x * 100')
in a module: $(of_module 'x + 1'), then $(of_module 'x * 100')"
echo "$told"
[ "$told" = $'in the script: 4, then 300\nin a module: 4, then 4' ] || { echo "it has changed" >&2; exit 1; }
