"""What our modules see in place of `os`, `time`, `signal` and so on, while a simulation runs.

Nothing in our code knows of it: what a module holds of the outside is found by identity, and replaced.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import pathlib
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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyjob import reporting
from anyjob.builtin.local import process_attributes
from anyjob.builtin.local.keeper import daemon
from anyjob.builtin.local.zygote import child as zygote_child
from anyjob.builtin.local.zygote import main as zygote_main
from anyjob.execution import interpreter
from anyjob.ledger import statedir
from anyjob.tracking import waiting
from simulation.files import (
    Description,
    Files,
    Stream,
    make_poll_class,
    make_selector_class,
    make_socket_class,
    pair,
)
from simulation.machine import Exited, Killed, Machine, Process

PREFIXES = ("anyjob.builtin.local", "anyjob.ledger", "anyjob.tracking", "anyjob.runtime", "anyjob.execution")
OTHERS = ("anyjob.ids", "anyjob.job", "anyjob.jobtypes", "anyjob.taskbackend")

OUTSIDE = (
    os, time, signal, signal.signal, signal.set_wakeup_fd, threading, fcntl, socket, select, selectors,
    queue.SimpleQueue, waiting._Queue, threading.Event, resource, sqlite3, traceback, gc, sys, daemon.log_error, daemon.detach,
    daemon.adopt_orphans, process_attributes.reset, process_attributes.current, statedir.is_network,
    interpreter.spawn_interpreter, reporting.report, zygote_main.mark_memory, zygote_child.finalize,
    zygote_child.reset_inherited_state, open,
)  # fmt: skip
"""What is replaced, wherever our modules have it."""
NOTHING = object()


class Os(types.SimpleNamespace):
    """`os` for processes of the machine. For whoever is none of them, it is the real one."""

    def __init__(self, machine: Machine, files: Files) -> None:
        super().__init__(**{name: value for name, value in vars(os).items() if name not in vars(Os) and name != "fork"})
        self._machine = machine
        self._files = files
        self._proc: dict[int, bytes] = {}
        self.spawned: Any = None  # what a program is run by: set by the world
        self.may_write: Any = lambda what, path: None  # raises where it is to fail: set by the world
        for name in ("rename", "replace", "unlink", "mkdir", "symlink", "link", "truncate"):
            setattr(self, name, self._checked(name, getattr(os, name)))

    def _checked(self, name: str, real: Any) -> Any:
        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            if self._machine.task is not None:
                self._machine.step(name)
                if name != "unlink":
                    self.may_write(name, path)
                if self._machine.trace is not None:
                    self._machine.say(f"{name} {short(path)} {short(arguments[0]) if arguments else ''}")
            return real(path, *arguments, **named)

        return call

    @property
    def environ(self) -> Any:
        return os.environ if self._machine.task is None else self._machine.process.variables

    @property
    def environb(self) -> Any:
        if self._machine.task is None:
            return os.environb
        return {k.encode(): v.encode() for k, v in self._machine.process.variables.items()}

    # --- files --------------------------------------------------------------------------------

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        machine = self._machine
        if machine.task is None:
            return os.open(path, flags, mode, dir_fd=dir_fd)
        machine.step("open")
        text = os.fsdecode(path)
        if text.startswith("/proc/"):
            machine.next_number += 1
            self._proc[machine.next_number] = self._read_proc(text)
            return machine.next_number
        if flags & os.O_CREAT:
            self.may_write("open", text)
        number = os.open(path, flags, mode, dir_fd=dir_fd)
        machine.process.descriptors.add(number)
        return number

    def _read_proc(self, path: str) -> bytes:
        _, _, which, what = path.split("/", 3)
        if what == "random/boot_id" or which == "sys":
            return b"one boot\n"
        process = self._machine.processes.get(int(which))
        if process is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        if what == "environ":
            return b"" if process.dead else process.environ
        state = "Z" if process.dead else "S"
        parent = 0 if process.parent is None else process.parent.pid
        rest = " ".join(["0"] * 15)
        return f"{process.pid} (x) {state} {parent} {process.group} {process.session} {rest} {process.started} 0".encode()

    def read(self, number: int, size: int) -> bytes:
        machine = self._machine
        if number in self._proc:
            data, self._proc[number] = self._proc[number][:size], self._proc[number][size:]
            return data
        description = machine.process.files.get(number) if machine.task else None
        if description is None:
            return os.read(number, size)
        machine.step("read")
        if not description.is_readable():
            if not description.blocking:
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            machine.wait(description.is_readable)
        return description.read(size)

    def write(self, number: int, data: Any) -> int:
        machine = self._machine
        if machine.task is None:
            return os.write(number, data)
        machine.step("write")
        description = machine.process.files.get(number)
        if description is not None:
            machine.wait(description.is_writable)
            return description.write(bytes(data))
        taken = self.may_write("write", number)
        if machine.trace is not None:
            machine.say(f"write {bytes(data)[:90]!r}")
        written = os.write(number, data if taken is None else bytes(data)[:taken])
        if taken is not None:
            machine.step("written in part")
        return written

    def close(self, number: int) -> None:
        machine = self._machine
        if self._proc.pop(number, None) is not None:
            return
        if machine.task is None:
            os.close(number)
            return
        machine.step("close")
        description = machine.process.files.pop(number, None)
        if description is not None:
            description.release()
            return
        if number not in machine.process.descriptors:
            return  # of another table: 0, 1, 2
        machine.process.descriptors.discard(number)
        self._files.closes(number)
        os.close(number)

    def open_file(self, file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        """What stands for the builtin `open`: a file object closes its descriptor by itself."""
        if self._machine.task is not None:
            self._machine.step("open")
            if "r" not in mode:
                self.may_write("open", file)
            if isinstance(file, int):
                self._machine.process.descriptors.discard(file)
        return open(file, mode, *arguments, **named)

    def fsync(self, number: int) -> None: ...

    fdatasync = fsync

    def listdir(self, path: Any = ".") -> list[str]:
        if self._machine.task is not None and path == "/proc":
            self._machine.step("list")
            return [str(pid) for pid in self._machine.processes]
        return os.listdir(path)

    def stat(self, path: Any, **named: Any) -> os.stat_result:
        if self._machine.task is not None and isinstance(path, str) and path.startswith("/proc/"):
            return os.stat("/")
        return os.stat(path, **named)

    def readlink(self, path: Any, **named: Any) -> Any:
        return "pid:[1]" if path == "/proc/self/ns/pid" else os.readlink(path, **named)

    def pipe2(self, flags: int = 0) -> tuple[int, int]:
        stream = Stream()
        reader, writer = Description(stream, None), Description(None, stream)
        reader.blocking = writer.blocking = not flags & os.O_NONBLOCK
        return self._files.add(reader), self._files.add(writer)

    def pipe(self) -> tuple[int, int]:
        return self.pipe2()

    def dup2(self, source: int, target: int, inheritable: bool = True) -> int:
        return target

    def set_inheritable(self, number: int, inheritable: bool) -> None: ...
    def chdir(self, path: Any) -> None: ...
    def umask(self, mask: int) -> int:
        return 0o022

    def urandom(self, size: int) -> bytes:
        return self._machine.random.randbytes(size)

    # --- processes ----------------------------------------------------------------------------

    def getpid(self) -> int:
        return os.getpid() if self._machine.task is None else self._machine.process.pid

    def getppid(self) -> int:
        parent = self._machine.process.parent
        return 0 if parent is None else parent.pid

    def getsid(self, pid: int) -> int:
        return self._machine.process.session

    def setsid(self) -> None:
        process = self._machine.process
        process.group = process.session = process.pid

    def kill(self, pid: int, number: int) -> None:
        machine = self._machine
        machine.step("kill")
        target = machine.find(pid)
        machine.say(f"sends signal {int(number)} to {target}")
        machine.signal(target, number)
        self._die_if_dead()

    def killpg(self, group: int, number: int) -> None:
        machine = self._machine
        machine.step("kill a group")
        members = [process for process in machine.processes.values() if process.group == group]
        if not members:
            raise ProcessLookupError(errno.ESRCH, "No such process")
        for process in members:
            if number:
                machine.say(f"sends signal {int(number)} to {process}")
            machine.signal(process, number)
        self._die_if_dead()

    def _die_if_dead(self) -> None:
        if self._machine.process.dead:
            raise Killed

    def _exit(self, code: int) -> None:
        raise Exited(code)

    def posix_spawn(
        self, path: bytes, argv: list[bytes], env: Any, *, file_actions: Any = (), setsid: bool = False, **_: Any
    ) -> int:
        self._machine.step("spawn")
        held = self._machine.process.files
        given = {number: held[fd] for _, fd, number in file_actions if fd in held}
        process: Process = self.spawned(argv, {os.fsdecode(k): os.fsdecode(v) for k, v in env.items()}, given)
        return process.pid

    def wait4(self, pid: int, options: int) -> tuple[int, int, Any]:
        child = self._ended_child(pid)
        if child is None:
            return 0, 0, None
        self._machine.reap(child)
        return child.pid, child.status, types.SimpleNamespace(ru_maxrss=10_000)

    def waitpid(self, pid: int, options: int) -> tuple[int, int]:
        return self.wait4(pid, options)[:2]

    def waitid(self, kind: int, pid: int, options: int) -> Any:
        child = self._ended_child(-1)
        if child is None:
            return None
        exited = not child.status & 127
        return types.SimpleNamespace(
            si_pid=child.pid,
            si_code=os.CLD_EXITED if exited else os.CLD_KILLED,
            si_status=child.status >> 8 if exited else child.status & 127,
        )

    def _ended_child(self, pid: int) -> Process | None:
        machine = self._machine
        machine.step("reap")
        children = [p for p in machine.processes.values() if p.parent is machine.process and pid in (-1, p.pid)]
        if not children:
            raise ChildProcessError(errno.ECHILD, "No child processes")
        return next((child for child in children if child.dead), None)


class Lock:
    """`threading.Lock`, and `threading.RLock`."""

    def __init__(self, machine: Machine, *, again: bool) -> None:
        self._machine = machine
        self._again = again
        self._owner: Any = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        task = self._machine.task
        if task is None:
            return True
        if self._again and self._owner is task:
            self._count += 1
            return True
        if not blocking and self._owner is not None:
            return False
        if not self._machine.wait(lambda: self._owner is None, None if timeout < 0 else timeout):
            return False
        self._owner, self._count = task, 1
        return True

    def release(self) -> None:
        if self._machine.task is None:
            return
        self._count -= 1
        if not self._count:
            self._owner = None

    def locked(self) -> bool:
        return self._owner is not None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class Condition:
    """`threading.Condition`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._lock = Lock(machine, again=True)
        self._told = 0

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()

    def notify(self, count: int = 1) -> None:
        self._told += 1

    notify_all = notify

    def wait(self, timeout: float | None = None) -> bool:
        told = self._told
        self._lock.release()
        try:
            return self._machine.wait(lambda: self._told != told, timeout)
        finally:
            if not self._machine.process.dead:
                self._lock.acquire()

    def wait_for(self, predicate: Any, timeout: float | None = None) -> Any:
        end = None if timeout is None else self._machine.now + timeout
        while not (result := predicate()):
            left = None if end is None else end - self._machine.now
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result


class Event:
    """`threading.Event`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        return self._machine.wait(lambda: self._set, timeout)


class Queue:
    """`queue.SimpleQueue`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._items: list[Any] = []

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not self._machine.wait(lambda: self._items, timeout):
            raise queue.Empty
        return self._items.pop(0)


class Thread:
    """`threading.Thread`."""

    def __init__(self, machine: Machine, target: Any, name: str = "") -> None:
        self._machine = machine
        self._target = target
        self.name = name
        self._task: Any = None

    def start(self) -> None:
        machine = self._machine
        process = machine.process
        self._task = machine.start_task(process, lambda: machine.run_task(process, self._target), self.name)
        self._task.thread = self

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.greenlet.dead


def _copy(module: Any, **replaced: Any) -> Any:
    return types.SimpleNamespace(**{**vars(module), **replaced})


def make_replacements(machine: Machine, files: Files, os_module: Os) -> dict[int, Any]:
    """Return what takes the place of the standard library's, by the identity of that."""
    process = lambda: machine.process  # noqa: E731
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
    signal_module = _copy(
        signal,
        signal=set_handler,
        getsignal=lambda number: process().handlers.get(int(number), signal.SIG_DFL),
        set_wakeup_fd=set_wakeup_fd,
        pthread_sigmask=lambda how, mask: set(),
    )
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
        id(signal): signal_module,
        id(signal.signal): set_handler,
        id(signal.set_wakeup_fd): set_wakeup_fd,
        id(threading): threading_module,
        id(threading.Event): lambda: Event(machine),
        id(fcntl): _copy(fcntl, lockf=lockf, fcntl=control, flock=files.flock),
        id(socket): _copy(socket, socket=socket_class, socketpair=socketpair),
        id(select): _copy(select, poll=make_poll_class(files)),
        id(selectors): _copy(selectors, DefaultSelector=make_selector_class(files)),
        id(queue.SimpleQueue): lambda: Queue(machine),
        id(waiting._Queue): lambda: Queue(machine),
        id(gc): _copy(gc, collect=lambda: 0, freeze=lambda: None),
        id(open): os_module.open_file,
        id(resource): _copy(resource, setrlimit=lambda *_: None),
    }


def places() -> list[tuple[Any, str, int]]:
    """Return what our modules hold of the outside: module, name, and the identity of what it is."""
    import _signal

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


def short(path: Any) -> str:
    """Return the end of a path, for a reader."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return str(path)
    return "/".join(pathlib.PurePath(os.fsdecode(path)).parts[-2:])
