#!/usr/bin/env bash
# Hydra 1.3.2, Snakemake 9.27.1, papermill 2.7.0, Sacred 0.8.7, Fire 0.7.1: the parameter commit=7e12345, a short id of a commit, arrives as infinity.
#
# Each of them makes a number of what looks like one, and digits with one e are a float, here one that is more than a float holds. Of seven
# hexadecimal digits some ids look so; the work is run without a word, on `inf`. Hydra takes text in quotes within those of the shell, papermill by --parameters_raw.
# Seen on 2026-11-30:
#   hydra: inf
#   snakemake: inf
#   papermill: float('inf')
#   sacred: inf
#   fire: inf
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet hydra-core==1.3.2 snakemake==9.27.1 papermill==2.7.0 sacred==0.8.7 fire==0.7.1
cd "$directory"
export HOME="$directory" PATH="$directory/env/bin:$PATH"
cat >by_hydra.py <<'PYTHON'
import hydra


@hydra.main(version_base=None)
def main(config):
    print(repr(config.commit))


main()
PYTHON
cat >Snakefile <<'PYTHON'
with open("snakemake.txt", "w") as file:
    print(repr(config["commit"]), file=file)


rule all:
    output: "nothing"
PYTHON
cat >notebook.py <<'PYTHON'
import nbformat

cell = nbformat.v4.new_code_cell("commit = ''", metadata={"tags": ["parameters"]})
kernel = {"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}}
nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), "notebook.ipynb")
PYTHON
cat >by_sacred.py <<'PYTHON'
from sacred import Experiment

experiment = Experiment("x", save_git_info=False)


@experiment.config
def settings():
    commit = ""


@experiment.automain
def main(commit):
    print(repr(commit))
PYTHON
cat >by_fire.py <<'PYTHON'
import fire

fire.Fire(lambda commit: print(repr(commit)))
PYTHON
python by_hydra.py +commit=7e12345 >hydra.txt
snakemake --dry-run --quiet all --config commit=7e12345 >/dev/null 2>&1
python notebook.py
papermill --prepare-only notebook.ipynb prepared.ipynb -p commit 7e12345 >/dev/null 2>&1
grep -o "float('inf')" prepared.ipynb | head -n 1 >papermill.txt
python by_sacred.py --loglevel ERROR with commit=7e12345 2>/dev/null | grep -x inf >sacred.txt
python by_fire.py 7e12345 >fire.txt
for library in hydra snakemake papermill sacred fire; do
  expected=inf
  [ "$library" != papermill ] || expected="float('inf')"
  told=$(cat "$library.txt")
  [ "$told" = "$expected" ] || { echo "it has changed: $library: $told" >&2; exit 1; }
  echo "$library: $told"
done
