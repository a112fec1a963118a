"""The import of a plugin: told to who watches, and waited for no longer than ``ANYJOB_IMPORT_TIMEOUT``."""

from __future__ import annotations

import os
import sys

from anyjob.errors import ConfigError, SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from typing import Any

    from anyjob.registry.entry_points import Reference

VARIABLE = "ANYJOB_IMPORT_TIMEOUT"

watch: Callable[[Reference], AbstractContextManager[object]] | None = None
"""Entered for each import of a plugin, by a program that tells of those that take long."""

_under_way: dict[tuple[int, Reference], Future[Any]] = {}  # of which process, and what is imported


def limit() -> float | None:
    """Return how many seconds an import may take; None where no bound is set.

    Raises:
        ConfigError: the bound is set, and is no time.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    from anyjob.text.units import parse_duration

    try:
        return parse_duration(float(text) if text.isdecimal() else text, what=VARIABLE)
    except SpecError as error:
        raise ConfigError(str(error)) from error


def import_plugin(reference: Reference, load: Callable[[], Any], seconds: float | None) -> Any:
    """Return what the import of a plugin gives, and raise what it raises.

    Args:
        reference: the plugin.
        load: imports it.
        seconds: how long it may take; None: for ever.

    Raises:
        TimeoutError: the import has not ended by then. It goes on in a thread of its own: nothing ends it.
            Who asks again waits for the same one.
    """
    if reference.distribution == "anyjob":
        return load()  # the core's own
    if watch is None:
        return _load_within(seconds, reference, load)
    with watch(reference):
        return _load_within(seconds, reference, load)


def _load_within(seconds: float | None, reference: Reference, load: Callable[[], Any]) -> Any:
    if seconds is None or _is_importing():  # another thread might wait for the module that is imported here
        return load()
    from concurrent.futures import Future

    from anyjob.process.plugin_thread import PluginThread

    key = os.getpid(), reference
    future = _under_way.get(key)
    if future is None:
        future = _under_way[key] = Future()
        PluginThread(_fulfil, f"anyjob-import-{reference.name}", (future, load)).start()
    try:
        error = future.exception(seconds)
    except TimeoutError:
        raise TimeoutError(f"it is still being imported after {seconds:g} s ({VARIABLE})") from None
    _under_way.pop(key, None)
    if error is not None:
        raise error
    return future.result()


def _fulfil(future: Future[Any], load: Callable[[], Any]) -> None:
    try:
        future.set_result(load())
    except BaseException as error:  # a plugin may call sys.exit() while it is imported
        future.set_exception(error)


def _is_importing() -> bool:
    """Tell whether a module is being imported in this thread."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
    return False
