#!/usr/bin/env bash
# papermill 2.7.0: a parameter that is a tuple is a text in the notebook, and a list in what the notebook says of itself.
#
# layers=(64, 32) is written into the cell of parameters as the text "(64, 32)": a loop goes over its characters, and its length is 8. The metadata of the same notebook
# have the list [64, 32]. A list arrives as a list; what cannot be told by JSON at all (a number of NumPy) is refused by an error.
# Seen on 2026-11-30:
#   [64, 32]: the cell has [64, 32], the metadata [64, 32]
#   (64, 32): the cell has '(64, 32)', the metadata [64, 32]
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet papermill==2.7.0
cd "$directory"
cat >show.py <<'PYTHON'
import nbformat
from papermill import execute_notebook

kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python"}}
nbformat.write(nbformat.v4.new_notebook(metadata=kernel), "book.ipynb")


def given(value):
    """Return what the cell of parameters makes of a value, and what the file says that it is."""
    execute_notebook("book.ipynb", "out.ipynb", parameters={"n": value}, prepare_only=True)
    book = nbformat.read("out.ipynb", as_version=4)
    exec(book.cells[0].source, variables := {})
    return variables["n"], book.metadata.papermill.parameters["n"]


of_list, of_tuple = given([64, 32]), given((64, 32))
print("[64, 32]: the cell has {!r}, the metadata {!r}".format(*of_list))
print("(64, 32): the cell has {!r}, the metadata {!r}".format(*of_tuple))
assert of_list == ([64, 32], [64, 32]) and of_tuple == ("(64, 32)", [64, 32]), "it has changed"
PYTHON
timeout 60 env/bin/python -W ignore show.py 2>errors || { cat errors >&2; exit 1; }
