#!/usr/bin/env bash
# Dask distributed 2026.7.1: a request that the scheduler has no handler for is answered by None, as if it had been served.
#
# A SchedulerPlugin adds handlers to `scheduler.handlers`, and a client calls them as methods of `client.scheduler`. A client whose
# scheduler goes away and is started anew at the same address reconnects by itself within its timeout. Plugins that were sent to the
# old one are not there then. What the client asks is answered by None: no error is raised, only the scheduler's log has a warning.
# Seen on 2026-11-28:
#   with the plugin: 42
#   after the scheduler was started anew: None, client running
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet distributed==2026.7.1
cd "$directory"
cat >run.py <<'PYTHON'
import subprocess
import sys
import time

from distributed import Client, SchedulerPlugin


class Plugin(SchedulerPlugin):
    def start(self, scheduler):
        async def ask():
            return 42

        scheduler.handlers["ask"] = ask


def start(port):
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--port", str(port)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def main():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scheduler = start(port)
    client = Client(f"tcp://127.0.0.1:{port}", timeout=30)
    client.register_plugin(Plugin())
    first = client.sync(client.scheduler.ask)
    print("with the plugin:", first)
    connection = client.scheduler_comm
    scheduler.kill()
    scheduler.wait()
    scheduler = start(port)
    while client.status != "running" or client.scheduler_comm in (None, connection):
        time.sleep(0.05)
    second = client.sync(client.scheduler.ask)
    print(f"after the scheduler was started anew: {second}, client {client.status}")
    scheduler.kill()
    assert (first, second) == (42, None), "it has changed"


if __name__ == "__main__":
    main()
PYTHON
timeout 120 "$directory/env/bin/python" run.py 2>/dev/null
