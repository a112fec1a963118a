"""A thread that was the first to load an extension module stays; another ends."""

from __future__ import annotations

import gc
import importlib
import shutil
import sys
import sysconfig
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.waiting import wait_until

from anyjob.process.plugin_thread import PluginThread

EXTENSIONS = Path(sysconfig.get_config_var("DESTSHARED"))


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """Loads an extension module that is not the standard library's: a copy of one of these."""
    copied = next(EXTENSIONS.glob("_zoneinfo*.so"), None)
    if copied is None:
        pytest.skip("this Python has its extension modules built in")
    package = tmp_path / "acme_native"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(copied, package)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda: importlib.import_module("acme_native._zoneinfo")
    for name in ("acme_native._zoneinfo", "acme_native"):
        sys.modules.pop(name, None)


def is_there(thread: threading.Thread) -> bool:
    """Tell whether the operating system has a thread."""
    return Path(f"/proc/self/task/{thread.native_id}").exists()


def test_a_thread_that_has_loaded_an_extension_module_stays(load: Callable[[], object]) -> None:
    """mimalloc#1356: in Qiskit 2.6, it holds the thread that loads it for the main one."""
    thread = PluginThread(load, "loads")
    thread.start()
    thread.join()

    assert not thread.is_alive()
    assert is_there(thread)
    assert thread.daemon


def test_one_that_has_not_ends() -> None:
    thread = PluginThread(int)
    thread.start()
    thread.join()

    wait_until(lambda: not is_there(thread))  # the operating system's ends a little later


def test_one_that_stays_holds_nothing(load: Callable[[], object]) -> None:
    class Owner:
        def run(self) -> None:
            load()

    owner = Owner()
    gone = weakref.ref(owner)
    thread = PluginThread(owner.run)
    thread.start()
    thread.join()
    del owner
    gc.collect()

    assert is_there(thread)
    assert gone() is None


def test_what_is_raised_in_one_is_reported(
    load: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def fail() -> None:
        load()
        raise ValueError("no")

    thread = PluginThread(fail)
    thread.start()
    thread.join()

    assert [(each.exc_type, each.thread) for each in told] == [(ValueError, thread)]
    assert is_there(thread)


def test_a_join_keeps_to_its_timeout() -> None:
    go_on = threading.Event()
    thread = PluginThread(go_on.wait)
    thread.start()
    thread.join(0.01)

    assert thread.is_alive()
    go_on.set()
    thread.join()
    assert not thread.is_alive()


def test_one_that_was_not_started_cannot_be_joined() -> None:
    with pytest.raises(RuntimeError):
        PluginThread(int).join()
