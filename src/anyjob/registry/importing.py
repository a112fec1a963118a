"""The import of a plugin: told to who watches, and waited for no longer than ``ANYJOB_IMPORT_TIMEOUT``."""

from __future__ import annotations

import os
import sys

from anyjob.errors import BrokenPluginError, ConfigError, SpecError

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


def _limit() -> float | None:
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


def load(reference: Reference) -> Any:
    """Return what a reference stands for: a plugin is imported.

    Raises:
        BrokenPluginError: it cannot be had, whatever the reason; ``__cause__`` is what was raised. After a
            TimeoutError the import goes on in a thread of its own: nothing ends it, and who asks again waits
            for the same one.
        ConfigError: ``ANYJOB_IMPORT_TIMEOUT`` is no time.
    """
    seconds = _limit()
    try:
        if reference.distribution == "anyjob":
            return reference.load()  # the core's own
        if watch is None:
            return _load_within(seconds, reference)
        with watch(reference):
            return _load_within(seconds, reference)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may call sys.exit() while it is imported
        raise BrokenPluginError(_explain(reference, error)) from error


def _load_within(seconds: float | None, reference: Reference) -> Any:
    if seconds is None or _is_importing():  # another thread might wait for the module that is imported here
        return reference.load()
    from concurrent.futures import Future

    from anyjob.process.plugin_thread import PluginThread

    key = os.getpid(), reference
    future = _under_way.get(key)
    if future is None:
        future = _under_way[key] = Future()
        PluginThread(_fulfil, f"anyjob-import-{reference.name}", (future, reference)).start()
    try:
        error = future.exception(seconds)
    except TimeoutError:
        raise TimeoutError(f"it is still being imported after {seconds:g} s ({VARIABLE})") from None
    _under_way.pop(key, None)
    if error is not None:
        raise error
    return future.result()


def _fulfil(future: Future[Any], reference: Reference) -> None:
    try:
        future.set_result(reference.load())
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


def _explain(reference: Reference, error: BaseException) -> str:
    """Say what keeps a reference from being loaded, and the way out."""
    text = f"{reference.group}: {reference} cannot be loaded: "
    distribution = reference.distribution
    if isinstance(error, SystemExit):
        return f"{text}it called sys.exit({error.code!r}) while it was imported; tell its authors"
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if not missing:
        from anyjob.standalone.shadowing import shadowing

        said = shadowing(error)
        return f"{text}{type(error).__name__}: {error}" + (f"; {said}" if said else "")
    module = reference.module
    if module == missing or module.startswith(f"{missing}."):
        return (
            f"{text}its own module {missing!r} is not there. The metadata in {reference.location} is stale: "
            f"reinstall or uninstall {distribution}"
        )
    if missing.partition(".")[0] == module.partition(".")[0]:
        return f"{text}it imports {missing!r}, which is not there: reinstall {distribution}"
    return (
        f"{text}it needs the module {missing!r}, which is not installed: install what brings it, or "
        f"reinstall {distribution} together with its dependencies"
    )
