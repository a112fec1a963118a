#!/usr/bin/env bash
# Invoke 2.2.1 (below Fabric 3.2.3): in `with c.cd(directory)`, a command that is more than one runs where one was, if the directory is missing.
#
# The directory is put before the command as `cd … &&`, and && holds back no more than the first command: what follows a `;` or is on another line runs all the same, in the
# directory of the program, or at home on the other machine. The exit code is that of the last one, so nothing is raised. `c.prefix(…)`, such as for a virtual environment, is put
# there in the same way.
# Seen on 2026-12-01 in the directory `here`, which has a file kept.txt:
#   cd to a missing directory, "echo ready; ls": kept.txt, exit code 0
#   cd to a missing directory, two lines: kept.txt, exit code 0
#   a prefix that fails, "echo ready; ls": kept.txt, exit code 0
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet invoke==2.2.1
mkdir "$directory/here"
touch "$directory/here/kept.txt"
cd "$directory/here"
cat >../run.py <<'PYTHON'
from invoke import Context

context = Context()


def ran(what, manager, command):
    with manager:
        done = context.run(command, hide=True)
    print(f"{what}: {done.stdout.strip()}, exit code {done.exited}")
    assert (done.stdout, done.exited) == ("kept.txt\n", 0), "it has changed"


ran('cd to a missing directory, "echo ready; ls"', context.cd("missing"), "echo ready; ls")
ran("cd to a missing directory, two lines", context.cd("missing"), "echo ready\nls")
ran('a prefix that fails, "echo ready; ls"', context.prefix("false"), "echo ready; ls")
PYTHON
../env/bin/python ../run.py
