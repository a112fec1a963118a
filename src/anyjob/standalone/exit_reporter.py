"""Runs a program for a parent that ignores SIGCHLD, whom the system does not tell how its children end.

Started as ``python -I -S -c SOURCE FD PROGRAM ARGUMENT…``. It writes two lines to the descriptor: 0,
or the number of the error for which the program cannot be started; and its status, as `os.wait` has it, with
its peak memory in KiB, the microseconds that it has computed and, where the system tells, the bytes that it
has read and written. It leads the session that the program is in, and takes no notice of SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the program that the arguments name."""
    report, argv = int(sys.argv[1]), [os.fsencode(word) for word in sys.argv[2:]]
    os.environ.pop("ANYJOB_INTERPRETER", None)  # see anyjob.execution.interpreter
    os.set_inheritable(report, False)
    default = [signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    try:
        pid = os.posix_spawnp(argv[0], argv, os.environ, setsigdef=default)
    except OSError as error:
        os.write(report, b"%d\n" % (error.errno or 1))
        return
    os.write(report, b"0\n")
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        with open(f"/proc/{pid}/io", "rb", buffering=0) as stream:  # gone once it is reaped
            said = stream.read(512).split()
    except OSError:
        said = []
    _, status, usage = os.wait4(pid, 0)
    micros = (usage.ru_utime + usage.ru_stime) * 1e6
    os.write(report, b" ".join([b"%d %d %d" % (status, usage.ru_maxrss, micros), *said[1:4:2]]) + b"\n")


if __name__ == "__main__":
    main()
