#!/usr/bin/env bash
# Luigi 3.8.1: the exit code is 0 where tasks have failed, until a configuration says which one is wanted.
#
# That tasks failed is in the summary, a text on the error output. Each kind of ending has a code of its own in the section [retcode], and all of
# them are 0 from the start, but for a failure outside of any task. So `luigi … && publish` publishes, and a job that is such a command has succeeded.
# Seen on 2026-11-30 of a task that raises:
#   as it comes: exit code 0
#   [retcode] task_failed=30: exit code 30
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet luigi==3.8.1
cd "$directory"
cat >pipeline.py <<'PYTHON'
import luigi


class Fit(luigi.Task):
    def run(self):
        raise ValueError("no data")

    def complete(self):
        return False
PYTHON
run() { # what is configured, in words
    local code=0
    PYTHONPATH=. timeout 60 env/bin/luigi --module pipeline Fit --local-scheduler >told 2>&1 || code=$?
    grep -q '1 failed' told
    echo "$1: exit code $code"
    last=$code
}
run "as it comes"
[ "$last" = 0 ] || { echo "it has changed"; exit 1; }
printf '[retcode]\ntask_failed=30\n' >luigi.cfg
run "[retcode] task_failed=30"
[ "$last" = 30 ] || { echo "it has changed"; exit 1; }
