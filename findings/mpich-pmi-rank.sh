#!/usr/bin/env bash
# MPICH 5.0.2: a process with PMI_RANK=2 and PMI_SIZE=4, and no PMI_FD, is rank 0 of 1, without a word.
#
# The names promise that who sets them has said which rank a process is. Without a PMI server to talk to, each process is an MPI program
# of its own: so a launcher that sets rank and size alone has every process do the work of rank 0. Started by mpiexec, the same
# program has its ranks.
# Seen on 2026-11-29:
#   told to be rank 2 of 4: 0 of 1
#   by mpiexec: 0 of 2, 1 of 2
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet mpich==5.0.2 mpi4py==4.1.2
cd "$directory"
cat >ranks.py <<'PYTHON'
from mpi4py import MPI

print(f"{MPI.COMM_WORLD.Get_rank()} of {MPI.COMM_WORLD.Get_size()}", flush=True)
PYTHON
told=$(PMI_RANK=2 PMI_SIZE=4 timeout 60 env/bin/python ranks.py)
echo "told to be rank 2 of 4: $told"
launched=$(timeout 60 env/bin/mpiexec -n 2 env/bin/python ranks.py | sort | paste -sd, | sed 's/,/, /')
echo "by mpiexec: $launched"
[ "$told" = "0 of 1" ] && [ "$launched" = "0 of 2, 1 of 2" ] || { echo "it has changed" >&2; exit 1; }
