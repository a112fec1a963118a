"""Threads of processes of the machine, and what they wait for each other by."""

from __future__ import annotations

import queue
from typing import Any

from simulation.machine import Machine


class Lock:
    """`threading.Lock`, and `threading.RLock`."""

    def __init__(self, machine: Machine, *, again: bool) -> None:
        self._machine = machine
        self._again = again
        self._process = machine.process if machine.task is not None else None
        self._owner: Any = None
        self._count = 0

    @property
    def _is_ours(self) -> bool:
        """Whether the process that it was made in does this, and lives: others may collect it."""
        task = self._machine.task
        return task is not None and task.process is self._process and not self._process.dead

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        task = self._machine.task
        if not self._is_ours:
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
        if not self._is_ours:
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
