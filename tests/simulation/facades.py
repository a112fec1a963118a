"""What our modules see in place of `os`, `time`, `signal` and so on, while a simulation runs.

Nothing in our code knows of it: what a module holds of the outside is found by identity, and replaced.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found,unused-ignore]
import _thread
import fcntl
import gc
import os
import queue
import resource
import select
import selectors
import signal
import socket
import sqlite3
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from anyjob.builtin.local import process_attributes
from anyjob.builtin.local.keeper import daemon, job_control
from anyjob.builtin.local.machine import cgroups
from anyjob.builtin.local.zygote import child as zygote_child
from anyjob.builtin.local.zygote import main as zygote_main
from anyjob.builtin.local.zygote import worker as zygote_worker
from anyjob.execution import interpreter
from anyjob.ledger.file import statedir
from anyjob.process import reporting
from anyjob.process.plugin_thread import PluginThread
from anyjob.tracking.waits import blocking
from simulation.descriptions import pair
from simulation.files import Files, make_poll_class, make_selector_class, make_socket_class
from simulation.machine import Machine
from simulation.processes import Process
from simulation.system import Os
from simulation.threads import Condition, Event, Lock, Queue, Thread

PREFIXES = (
    "anyjob.builtin.local",
    "anyjob.ledger",
    "anyjob.tracking",
    "anyjob.runtime",
    "anyjob.execution",
    "anyjob.serialization",
    "anyjob.outputs",
    "anyjob.spool",
    "anyjob.standalone",
)
OTHERS = ("anyjob.job", "anyjob.command_result", "anyjob.taskjob", "anyjob.taskbackend")

LOG_ERROR = vars(job_control)["log_error"]
OUTSIDE = (
    os, time, signal, signal.signal, signal.set_wakeup_fd, threading, fcntl, socket, select, selectors,
    queue.SimpleQueue, blocking._Queue, threading.Event, PluginThread, resource, sqlite3, traceback, gc, sys,
    LOG_ERROR, daemon.detach, daemon.adopt_orphans,
    process_attributes.reset, process_attributes.current, statedir.is_network, cgroups.find_place,
    interpreter.spawn_interpreter, reporting.report, zygote_main.mark_memory, zygote_child.finalize,
    zygote_child.reset_inherited_state, open, _signal, _thread._count, zygote_worker.ENVIRONMENT,
)  # fmt: skip
"""What is replaced, wherever our modules have it."""
NOTHING = object()
USED = types.SimpleNamespace(ru_maxrss=10_000, ru_utime=0.25, ru_stime=0.25, ru_minflt=0)
"""What a process and its children have used."""


class Variables(Mapping[bytes, bytes]):
    """The variables of the process that runs, as `os.environb` keeps them."""

    def __init__(self, os_module: Os) -> None:
        self._os = os_module

    def __getitem__(self, name: bytes) -> bytes:
        found: bytes = self._os.environb[name]
        return found

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._os.environb)

    def __len__(self) -> int:
        return len(self._os.environb)


def _copy(module: Any, **replaced: Any) -> Any:
    return types.SimpleNamespace(**{**vars(module), **replaced})


def make_replacements(machine: Machine, files: Files, os_module: Os) -> dict[int, Any]:
    """Return what takes the place of the standard library's, by the identity of that."""

    def process() -> Process:
        return machine.process

    socket_class = make_socket_class(files)

    def socketpair() -> tuple[Any, Any]:
        one, other = pair()
        return socket_class(description=one), socket_class(description=other)

    def set_wakeup_fd(number: int, *, warn_on_full_buffer: bool = True) -> int:
        process().wakeup = number
        return -1

    def set_handler(number: int, handler: Any) -> Any:
        return process().handlers.__setitem__(int(number), handler)

    def lockf(descriptor: int, operation: int) -> None:
        machine.step("lock")
        files.lock(descriptor)

    def control(descriptor: int, command: int, argument: Any = 0) -> Any:
        return files.holder(descriptor, argument) if command == fcntl.F_GETLK else 0

    here = types.SimpleNamespace(name="main")
    time_module = _copy(
        time,
        monotonic=lambda: machine.now,
        time=lambda: machine.now + machine.wall_offset,
        sleep=machine.sleep,
        clock_gettime_ns=lambda clock: int(machine.now * 1_000_000_000),
    )
    signals = {
        "signal": set_handler,
        "getsignal": lambda number: process().handlers.get(int(number), signal.SIG_DFL),
        "set_wakeup_fd": set_wakeup_fd,
        "pthread_sigmask": lambda how, mask: set(),
        "setitimer": lambda *_: None,
    }
    threading_module = _copy(
        threading,
        Lock=lambda: Lock(machine, again=False),
        RLock=lambda: Lock(machine, again=True),
        Condition=lambda lock=None: Condition(machine),
        Event=lambda: Event(machine),
        Thread=lambda target, name="", daemon=True: Thread(machine, target, name),
        current_thread=lambda: (machine.task and machine.task.thread) or here,
    )
    return {
        id(os): os_module,
        id(time): time_module,
        id(signal): _copy(signal, **signals),
        id(_signal): _copy(_signal, **signals),
        id(signal.signal): set_handler,
        id(signal.set_wakeup_fd): set_wakeup_fd,
        id(threading): threading_module,
        id(threading.Event): lambda: Event(machine),
        id(PluginThread): lambda target, name="": Thread(machine, target, name),
        id(fcntl): _copy(fcntl, lockf=lockf, fcntl=control, flock=files.flock),
        id(socket): _copy(socket, socket=socket_class, socketpair=socketpair, send_fds=files.send),
        id(select): _copy(select, poll=make_poll_class(files)),
        id(selectors): _copy(selectors, DefaultSelector=make_selector_class(files)),
        id(queue.SimpleQueue): lambda: Queue(machine),
        id(blocking._Queue): lambda: Queue(machine),
        id(gc): _copy(gc, collect=lambda: 0, freeze=lambda: None),
        id(open): os_module.open_file,
        id(resource): _copy(resource, setrlimit=lambda *_: None, getrusage=lambda _: USED),
        id(_thread._count): lambda: len(process().tasks) - 1,
        id(zygote_worker.ENVIRONMENT): Variables(os_module),
    }


def places() -> list[tuple[Any, str, int]]:
    """Return what our modules hold of the outside: module, name, and the identity of what it is."""
    outside = {id(thing) for thing in OUTSIDE}
    same = {id(_signal.signal): id(signal.signal), id(_signal.set_wakeup_fd): id(signal.set_wakeup_fd)}
    found = []
    for name, module in sorted(sys.modules.items()):
        if name.startswith(PREFIXES) or name in OTHERS or name.partition(".")[0] == "pathlib":
            for attribute, value in list(vars(module).items()):
                what = same.get(id(value), id(value))
                if what in outside:
                    found.append((module, attribute, what))
            if name.startswith(PREFIXES):
                found.append((module, "open", id(open)))
    found.append((threading, "Event", id(threading.Event)))  # some import it where they use it
    return found


@contextmanager
def installed(replacements: dict[int, Any], where: list[tuple[Any, str, int]]) -> Iterator[None]:
    """Have our modules see the simulated outside."""
    before = [(module, name, vars(module).get(name, NOTHING)) for module, name, _ in where]
    try:
        for module, name, what in where:
            setattr(module, name, replacements[what])
        yield
    finally:
        for module, name, value in before:
            if value is NOTHING:
                delattr(module, name)
            else:
                setattr(module, name, value)
