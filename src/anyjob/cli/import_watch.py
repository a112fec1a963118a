"""While a plugin is imported: whose import takes long is told, and Ctrl-C and SIGTERM end this process."""

from __future__ import annotations

import os
import select
import signal
import threading
from typing import Self

from anyjob.cli.exit_codes import SIGNALLED
from anyjob.cli.terminal.output import print_message
from anyjob.registry.entry_points import Reference

PATIENCE = 1.0
"""Seconds after which whoever waits is told for what."""


class ImportWatch:
    """Watches the import of one plugin; made to be `anyjob.registry.importing.watch`.

    The kernel ends this process at Ctrl-C, as at SIGTERM: no handler in Python would run while the plugin is
    in C, and what a handler raises, the plugin may swallow. Where the plugin puts a handler of its own in
    place, a thread hears of the signal by a pipe that Python's C code writes to.

    Args:
        reference: the plugin.
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._interruptible = False
        self._wakeup: int | None = None

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        if threading.current_thread() is threading.main_thread():
            self._take_signals()
        threading.Thread(target=self._serve, name="anyjob-import-watch", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._interruptible and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._wakeup is not None:
            now = signal.set_wakeup_fd(self._wakeup)
            if now not in (self._writer, -1):
                signal.set_wakeup_fd(now)  # the plugin has put its own in place
        os.write(self._writer, b"\0")

    def _take_signals(self) -> None:
        # One that is ignored (nohup) stays ignored; a handler is of whoever runs jobs, and cancels them.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._interruptible = True
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def _serve(self) -> None:
        patience: float | None = PATIENCE
        while True:
            if not select.select([self._reader], [], [], patience)[0]:
                patience = None
                print_message(f"waiting for the import of {self._reference}")
                continue
            number = os.read(self._reader, 1)[0]
            if number == 0:
                break
            if number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os._exit(SIGNALLED + number)
        os.close(self._reader)
        os.close(self._writer)
