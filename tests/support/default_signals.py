"""Tests, and what they start, begin with the signals that they rely on: a plugin of pytest."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Set the signals that tests rely on, whatever we were started with: what tests start inherits them.

    ``nohup make test &`` of a shell without job control has SIGHUP and SIGINT ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
