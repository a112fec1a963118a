#!/usr/bin/env bash
# Dask distributed 2026.7.1: a thread that is in Client.sync when another closes the client gets an UnboundLocalError.
#
# Closing a client that has a loop of its own cancels what runs in it. `sync` keeps an exception of its coroutine if it is an Exception, which
# CancelledError is not, and then returns a result that was never set. What a caller would catch (OSError, TimeoutError,
# CancelledError) is not raised.
# Seen on 2026-11-28:
#   UnboundLocalError: cannot access local variable 'result' where it is not associated with a value
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet distributed==2026.7.1
cd "$directory"
cat >run.py <<'PYTHON'
import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from distributed import Client, LocalCluster


def main():
    cluster = LocalCluster(n_workers=0, dashboard_address=None)
    client = Client(cluster.scheduler_address)
    entered = threading.Event()

    async def wait():
        entered.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.sync, wait)
        entered.wait()
        client.close()
        error = waiting.exception()
    cluster.close()
    print(f"{type(error).__name__}: {error}")
    assert isinstance(error, UnboundLocalError), "it has changed"


if __name__ == "__main__":
    main()
PYTHON
timeout 120 "$directory/env/bin/python" run.py 2>/dev/null
