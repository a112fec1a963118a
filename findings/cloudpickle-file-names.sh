#!/usr/bin/env bash
# cloudpickle 3.1.3: a function that is pickled by value forgets which file it is from. 3.1.2 keeps that.
#
# Its code says "<dynamic-code>" where the file stood, so a traceback of what failed elsewhere names no file and shows no line, also where
# the file is there. Whoever wants it has to pickle code objects with their `co_filename` himself. Functions that go by name are not concerned.
# Seen on 2026-11-30:
#   3.1.2: the file of the script, and the line of its source
#   3.1.3: <dynamic-code>
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
cd "$directory"
cat >fit.py <<'PYTHON'
import pickle
import sys
import traceback

import cloudpickle


def fit(value):
    return 1 / value


again = pickle.loads(cloudpickle.dumps(fit))
try:
    again(0)
except ZeroDivisionError as error:
    frame = traceback.extract_tb(error.__traceback__)[-1]
told = {__file__: "the file of the script, and the line of its source"}.get(frame.filename, frame.filename)
print(f"{cloudpickle.__version__}: {told}")
assert (told, frame.line) == ((sys.argv[1], sys.argv[2])), (told, frame.line, "it has changed")
PYTHON
env/bin/pip install --quiet cloudpickle==3.1.2
timeout 60 env/bin/python fit.py "the file of the script, and the line of its source" "return 1 / value"
env/bin/pip install --quiet cloudpickle==3.1.3
timeout 60 env/bin/python fit.py "<dynamic-code>" ""
