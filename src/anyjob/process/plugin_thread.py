"""The thread for code of plugins and users, which may be the first to load an extension module."""

from __future__ import annotations

import sys
import threading
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Any

_SUFFIXES = tuple(EXTENSION_SUFFIXES)


class PluginThread(threading.Thread):
    """A daemon thread that stays, idle, where an extension module was loaded while it ran.

    Some take the thread that loads them for the main one, which lasts. Where it is gone, and another has got
    its place in memory, the process ends by a signal: so with mimalloc 3.3, which is in Qiskit 2.6
    (mimalloc#1356). Who loads a plugin's library first is often a thread that ends when nobody waits.

    To `join` and `is_alive` it has ended with its target, of which it holds nothing any more.

    Args:
        target: what to call.
        name: what the thread is called.
        args: what the target is called with.
    """

    def __init__(self, target: Any, name: str | None = None, args: tuple[Any, ...] = ()) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)
        self._has_ended = threading.Event()
        self._stays = False

    def run(self) -> None:
        """Call the target, and stay where that has loaded an extension module."""
        before = set(sys.modules)
        try:
            super().run()
        except BaseException:  # told as Thread tells it, here: this thread may stay
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self)))
        self._stays = _has_extension(sys.modules.keys() - before)
        if self._stays:
            self.name = "anyjob-stays"
        self._has_ended.set()
        if self._stays:
            threading.Event().wait()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the target to return."""
        if super().is_alive() and not (self._has_ended.wait(timeout) and not self._stays):
            return
        super().join(timeout)

    def is_alive(self) -> bool:
        """Tell whether the target is being called."""
        return super().is_alive() and not self._has_ended.is_set()


def _has_extension(names: set[str]) -> bool:
    for name in names:
        file = getattr(sys.modules.get(name), "__dict__", {}).get("__file__")
        is_ours = name.partition(".")[0] in sys.stdlib_module_names
        if isinstance(file, str) and file.endswith(_SUFFIXES) and not is_ours:
            return True
    return False
