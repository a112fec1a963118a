"""A connection to HOST PORT over stdin and stdout, as a ProxyCommand of ssh, on which each byte is late.

Usage: ssh -o "ProxyCommand python _delayed.py SECONDS %h %p" …
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time


def pass_on(source: int, target: int, late: float) -> None:
    """Write what is read, so many seconds later, until the end of it."""
    held: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def write() -> None:
        while True:
            due, data = held.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                os._exit(0)
            view = memoryview(data)
            while view:
                view = view[os.write(target, view) :]

    threading.Thread(target=write, daemon=True).start()
    while data := os.read(source, 1 << 16):
        held.put((time.monotonic() + late, data))
    held.put((time.monotonic() + late, b""))


def main() -> None:
    late, host, port = float(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    connection = socket.create_connection((host, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    descriptor = connection.fileno()
    threading.Thread(target=pass_on, args=(descriptor, 1, late), daemon=True).start()
    pass_on(0, descriptor, late)
    time.sleep(late + 1)


if __name__ == "__main__":
    main()
