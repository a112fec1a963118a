#!/usr/bin/env bash
# anyio 4.16.0: a call in a worker process (to_process.run_sync) that starts a program which prints breaks the worker: BrokenWorkerProcess.
#
# The worker answers by its descriptor 1. It puts sys.stdout aside, so that print() is lost and does no harm, but descriptor 1 stays what it
# was: a program that the call starts, or a C library, writes into the answers. The error names neither the print nor the program; that the call itself
# went well is lost.
# Seen on 2026-11-30:
#   print: returned 3
#   program: BrokenWorkerProcess
#   program without stdout: returned 3
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet anyio==4.16.0
cd "$directory"
cat >work.py <<'PYTHON'
import subprocess


def by_print():
    print("hello")
    return 3


def by_program():
    subprocess.run(["echo", "hello"], check=True)
    return 3


def by_quiet_program():
    subprocess.run(["echo", "hello"], check=True, stdout=subprocess.DEVNULL)
    return 3
PYTHON
cat >run.py <<'PYTHON'
import anyio
import anyio.to_process
import work


async def main():
    for name, function in {"print": work.by_print, "program": work.by_program, "program without stdout": work.by_quiet_program}.items():
        try:
            print(f"{name}: returned {await anyio.to_process.run_sync(function)}")
        except anyio.BrokenWorkerProcess as error:
            print(f"{name}: {type(error).__name__}")


if __name__ == "__main__":
    anyio.run(main)
PYTHON
told=$(timeout 60 env/bin/python run.py)
echo "$told"
[ "$told" = "print: returned 3
program: BrokenWorkerProcess
program without stdout: returned 3" ] || { echo "it has changed" >&2; exit 1; }
