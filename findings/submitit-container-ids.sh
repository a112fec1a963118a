#!/usr/bin/env bash
# submitit 1.5.4: two programs in containers that share the folder of LocalExecutor get one result: the work of one of them is done twice, that of the other not at all.
#
# The id of a local job is that of its process, and its files are FOLDER/ID_….pkl. Ids of processes are unique in a container only, and there small numbers that come again
# each time. Of two that run at once the later overwrites what the earlier was told to do; of two that run one after the other it overwrites the result, and a handle
# that was kept of the first has that of the second.
# Needs root, for namespaces of process ids (unshare), which is what containers are made of.
# Seen on 2026-11-30 of two programs that submit `double`, the one of 10, the other of 20:
#   at once: the job 2 is 40, and the job 2 is 40 (or both are 20)
#   one after the other: the job 2 was 20, and is 40
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet submitit==1.5.4
cd "$directory"
cat >run.py <<'PYTHON'
import sys
import time

import submitit


def double(number):
    time.sleep(5)
    return 2 * number


job = submitit.LocalExecutor(sys.argv[1]).submit(double, int(sys.argv[2]))
print(job.job_id, job.result())
PYTHON
contained() { timeout 60 unshare --pid --fork --mount-proc env/bin/python run.py "$1" "$2"; }
for _ in 1 2 3; do # whoever is first by far has done its work before the other overwrites it
  rm -rf together
  contained together 10 >first &
  contained together 20 >second
  wait
  ! cmp -s first second || break
done
read -r one first <first
read -r other second <second
echo "at once: the job $one is $first, and the job $other is $second"
[ "$one $first" = "$other $second" ] || { echo "it has changed" >&2; exit 1; }

read -r id was < <(contained apart 10)
contained apart 20 >/dev/null
is=$(env/bin/python -c 'import sys, submitit; print(submitit.LocalJob(*sys.argv[1:]).result())' apart "$id")
echo "one after the other: the job $id was $was, and is $is"
[ "$was $is" = "20 40" ] || { echo "it has changed" >&2; exit 1; }
