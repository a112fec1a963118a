"""What processes talk and wait by: sockets, selectors, and locks on files. Plain files are real ones."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import selectors
import socket
import struct
from typing import TYPE_CHECKING, Any

from simulation.descriptions import Connection, Description, Listener, pair

if TYPE_CHECKING:
    from simulation.machine import Machine
    from simulation.processes import Process


class Files:
    """All pipes, sockets and locks of the machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.listeners: dict[str, Listener] = {}
        self.locks: dict[tuple[int, int], Process] = {}
        self.flocks: dict[tuple[int, int], int] = {}

    def add(self, description: Description, process: Process | None = None, number: int | None = None) -> int:
        """Give a process a descriptor."""
        if number is None:
            self.machine.next_number += 1
            number = self.machine.next_number
        description.references += 1
        (process or self.machine.process).files[number] = description
        return number

    def again(self, number: int) -> int:
        """Open what a descriptor of this process stands for once more, for reading and writing."""
        found = self.machine.process.files[number]
        opened = Description(found.incoming or found.outgoing, found.outgoing or found.incoming)
        opened.blocking = False
        return self.add(opened)

    def send(self, sock: Any, data: list[bytes], numbers: list[int]) -> int:
        """Pass descriptors, as `socket.send_fds` does."""
        self.machine.step("send")
        held = self.machine.process.files
        outgoing = held[sock.fileno()].outgoing
        assert outgoing is not None
        if outgoing.broken:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        passed: list[Description | int] = []
        for number in numbers:
            if number in held:
                held[number].references += 1
            passed.append(held[number] if number in held else os.dup(number))
        outgoing.passed.append(passed)
        outgoing.data += b"".join(data)
        return sum(map(len, data))

    def receive(self, number: int) -> tuple[int, ...]:
        """Return the descriptors that were passed; none where the other end is gone."""
        self.machine.step("receive")
        process = self.machine.process
        description = process.files[number]
        self.machine.wait(description.is_readable)
        if not description.read(1):
            return ()
        assert description.incoming is not None
        numbers = []
        for each in description.incoming.passed.popleft():
            if isinstance(each, int):
                process.descriptors.add(each)
                numbers.append(each)
            else:
                numbers.append(self.add(each))
                each.references -= 1
        return tuple(numbers)

    def inherit(self, process: Process, number: int) -> int:
        """Give a process that is forked off what a descriptor of ours stands for; return its own number."""
        ours = self.machine.process
        if number in ours.files:
            return self.add(ours.files[number], process, number)
        copy = os.dup(number)
        process.descriptors.add(copy)
        return copy

    # --- locks --------------------------------------------------------------------------------

    def lock(self, descriptor: int) -> None:
        """Take a POSIX record lock."""
        key = identity(descriptor)
        holder = self.locks.get(key)
        if holder is not None and holder is not self.machine.process and not holder.dead:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        self.locks[key] = self.machine.process

    def holder(self, descriptor: int, asked: bytes) -> bytes:
        """Answer F_GETLK."""
        holder = self.locks.get(identity(descriptor))
        fields = list(struct.unpack("hhqqi", asked))
        if holder is None or holder.dead or holder is self.machine.process:
            fields[0] = fcntl.F_UNLCK
        else:
            fields[0], fields[4] = fcntl.F_WRLCK, holder.pid
        return struct.pack("hhqqi", *fields)

    def closes(self, descriptor: int) -> None:
        """A process closes a descriptor of a file, and with that lets go of its locks on it, whichever."""
        key = identity(descriptor)
        if self.locks.get(key) is self.machine.process:
            del self.locks[key]
        if self.flocks.get(key) == descriptor:
            del self.flocks[key]

    def flock(self, descriptor: int, operation: int) -> None:
        """Take or give back the lock of a description."""
        key = identity(descriptor)
        if operation & fcntl.LOCK_UN:
            self.flocks.pop(key, None)
            return
        self.machine.wait(lambda: key not in self.flocks)
        self.flocks[key] = descriptor

    def drop_descriptors(self, process: Process) -> None:
        """Close the real files of a process that has ended."""
        for descriptor in process.descriptors:
            key = identity(descriptor)
            if self.flocks.get(key) == descriptor:
                del self.flocks[key]
            os.close(descriptor)
        process.descriptors.clear()


def identity(descriptor: int) -> tuple[int, int]:
    """Return which file a real descriptor is of."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def make_socket_class(files: Files) -> Any:
    """Return what stands for `socket.socket`."""
    machine = files.machine

    class Socket:
        def __init__(self, *_: Any, description: Description | None = None) -> None:
            self._description = description
            self._number = -1 if description is None else files.add(description)
            self._owner = machine.process
            self._blocking = True
            machine.next_number += 1
            self._serial = machine.next_number

        def __hash__(self) -> int:
            return self._serial

        def fileno(self) -> int:
            return self._number

        def setblocking(self, blocking: bool) -> None:
            self._blocking = blocking

        def settimeout(self, seconds: float | None) -> None:
            self._blocking = seconds != 0

        def bind(self, path: str) -> None:
            machine.step("bind")
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
            self._description = files.listeners[path] = Listener(path, machine.process)
            self._number = files.add(self._description)

        def listen(self, backlog: int) -> None: ...

        def connect(self, path: str) -> None:
            machine.step("connect")
            listener = files.listeners.get(path)
            if listener is None or not listener.open or not os.path.exists(path):
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            ours, theirs = pair()
            ours.peer, theirs.peer = (listener.owner.pid, os.getuid()), (machine.process.pid, os.getuid())
            self._description = ours
            self._number = files.add(ours)
            listener.backlog.append((theirs, machine.process))

        def accept(self) -> tuple[Any, str]:
            machine.step("accept")
            listener = self._description
            assert isinstance(listener, Listener)
            if not listener.backlog:
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            return Socket(description=listener.backlog.pop(0)[0]), ""

        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            assert isinstance(self._description, Connection)
            return struct.pack("3i", *self._description.peer, 0)

        def recv(self, size: int) -> bytes:
            machine.step("receive")
            description = self._description
            assert description is not None
            if not description.is_readable():
                if not self._blocking:
                    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
                machine.wait(description.is_readable)
            some = machine.random.choice((size, size, size, 7)) if machine.switching else size
            return description.read(min(size, some))

        def send(self, data: bytes, flags: int = 0) -> int:
            machine.step("send")
            assert self._description is not None
            if self._number == -1:
                raise OSError(errno.EBADF, "Bad file descriptor")
            return self._description.write(bytes(data))

        def shutdown(self, how: int) -> None:
            description = self._description
            if self._number == -1 or description is None:
                raise OSError(errno.EBADF, "Bad file descriptor")
            if description.outgoing is not None and how != socket.SHUT_RD:
                description.outgoing.ended = True
            if description.incoming is not None and how != socket.SHUT_WR:
                description.incoming.ended = True
                description.incoming.broken = True

        def close(self) -> None:
            number, self._number = self._number, -1
            found = self._owner.files.pop(number, None)
            if found is not None:
                found.release()

    return Socket


def make_selector_class(files: Files) -> Any:
    """Return what stands for `selectors.DefaultSelector`."""
    machine = files.machine

    class Selector:
        def __init__(self) -> None:
            self._keys: dict[int, selectors.SelectorKey] = {}

        def register(self, source: Any, events: int, data: Any = None) -> None:
            number = source if isinstance(source, int) else source.fileno()
            self._keys[number] = selectors.SelectorKey(source, number, events, data)

        def unregister(self, source: Any) -> None:
            for number, key in list(self._keys.items()):
                if key.fileobj is source:
                    del self._keys[number]

        def modify(self, source: Any, events: int, data: Any = None) -> None:
            self.unregister(source)
            self.register(source, events, data)

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            held = machine.process.files
            watched = [(key, held[number]) for number, key in self._keys.items() if number in held]

            readers = [found for key, found in watched if key.events & selectors.EVENT_READ]
            writers = [found for key, found in watched if key.events & selectors.EVENT_WRITE]

            def is_ready() -> bool:  # the hub asks it at each turn
                for found in readers:
                    stream = found.incoming
                    if found.is_readable() if stream is None else stream.data or stream.ended or stream.reset:
                        return True
                return any(found.is_writable() for found in writers)

            machine.wait(is_ready, timeout)
            ready = [(key, mask) for key, found in watched if (mask := _events(found, key.events))]
            if len(ready) > 1 and machine.switching:
                machine.random.shuffle(ready)
            return ready

    return Selector


def make_poll_class(files: Files) -> Any:
    """Return what stands for `select.poll`."""
    machine = files.machine

    class Poll:
        def __init__(self) -> None:
            self._events: dict[int, int] = {}

        def register(self, source: Any, events: int) -> None:
            number = source if isinstance(source, int) else source.fileno()
            if number < 0:
                raise ValueError(f"file descriptor cannot be a negative integer ({number})")
            self._events[number] = events

        def poll(self, milliseconds: float | None = None) -> list[tuple[int, int]]:
            held = machine.process.files

            def ready() -> list[tuple[int, int]]:
                found = []
                for number, events in self._events.items():
                    of = held.get(number)
                    if of is None:
                        found.append((number, select.POLLNVAL))
                    elif (events & select.POLLIN and of.is_readable()) or (
                        events & select.POLLOUT and of.is_writable()
                    ):
                        found.append((number, events))
                return found

            machine.wait(ready, None if milliseconds is None else milliseconds / 1000)
            return ready()

    return Poll


def _events(description: Description, wanted: int) -> int:
    found = 0
    if wanted & selectors.EVENT_READ and description.is_readable():
        found |= selectors.EVENT_READ
    if wanted & selectors.EVENT_WRITE and description.is_writable():
        found |= selectors.EVENT_WRITE
    return found
