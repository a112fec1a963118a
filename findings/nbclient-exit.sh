#!/usr/bin/env bash
# nbclient 0.11.0 with ipykernel 7.4.0: exit(3) in a cell ends nothing: the cells behind it run, and the notebook has succeeded.
#
# In a notebook `exit` and `quit` are IPython's: they ask the front end to close, which a program that runs the notebook does not look at, and the number is dropped.
# sys.exit(0), by which a script says that all is well, is an error of the cell instead, and the notebook has failed. So a check that leaves by exit(1) lets everything
# pass. `jupyter nbconvert --execute` and papermill are built on it.
# Seen on 2026-11-30, of a cell with this, and another one behind it:
#   exit(3): succeeded, the second cell has run
#   sys.exit(0): CellExecutionError
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet nbclient==0.11.0 ipykernel==7.4.0
cd "$directory"
cat >show.py <<'PYTHON'
import nbformat
from nbclient import NotebookClient


def ran(code):
    cells = [nbformat.v4.new_code_cell(text) for text in (code, "print('second')")]
    book = nbformat.v4.new_notebook(cells=cells)
    try:
        NotebookClient(book, timeout=120, kernel_name="python3").execute()
    except Exception as error:
        return type(error).__name__
    return "succeeded, " + ("the second cell has run" if cells[1].outputs else "the second cell has not run")


seen = {"exit(3)": ran("exit(3)"), "sys.exit(0)": ran("import sys; sys.exit(0)")}
for what, came in seen.items():
    print(f"{what}: {came}")
assert list(seen.values()) == ["succeeded, the second cell has run", "CellExecutionError"], "it has changed"
PYTHON
timeout 200 env/bin/python -W ignore show.py 2>errors || { cat errors >&2; exit 1; }
