"""`os` as processes of the machine see it: files are real, processes are not."""

from __future__ import annotations

import errno
import os
import pathlib
import types
from collections.abc import Iterator, MutableMapping
from typing import Any

from simulation.descriptions import Description, Stream
from simulation.files import Files
from simulation.machine import Machine
from simulation.processes import Exited, Killed, Process


class _InBytes(MutableMapping[bytes, bytes]):
    """The variables of a process, in bytes."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: bytes) -> bytes:
        return self._variables[name.decode()].encode()

    def __setitem__(self, name: bytes, value: bytes) -> None:
        self._variables[name.decode()] = value.decode()

    def __delitem__(self, name: bytes) -> None:
        del self._variables[name.decode()]

    def __iter__(self) -> Iterator[bytes]:
        return (name.encode() for name in self._variables)

    def __len__(self) -> int:
        return len(self._variables)


class Os(types.SimpleNamespace):
    """`os` for processes of the machine. For whoever is none of them, it is the real one."""

    def __init__(self, machine: Machine, files: Files) -> None:
        super().__init__(
            **{name: value for name, value in vars(os).items() if name not in vars(Os) and name != "fork"}
        )
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
        return _InBytes(self._machine.process.variables)

    # --- files --------------------------------------------------------------------------------

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        machine = self._machine
        if machine.task is None:
            return os.open(path, flags, mode, dir_fd=dir_fd)
        machine.step("open")
        text = os.fsdecode(path)
        if text.startswith("/proc/self/fd/"):
            return self._files.again(int(text.rpartition("/")[2]))
        if text == "/proc/self/clear_refs":
            raise PermissionError(errno.EACCES, "Permission denied", path)
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
        pid = self._machine.process.pid if which == "self" else int(which)
        process = self._machine.processes.get(pid)
        if process is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        if what == "environ":
            return b"" if process.dead else bytes(process.environ)
        if what == f"task/{process.pid}/children":
            children = [each.pid for each in self._machine.processes.values() if each.parent is process]
            return " ".join(map(str, children)).encode()
        if what == "io":
            return b"rchar: 10\nwchar: 20\nsyscr: 1\n"
        if what in ("status", "smaps_rollup"):
            name = b"RssAnon" if what == "status" else b"Pss_Anon"
            return b"" if process.dead else b"%s:\t%d kB\n" % (name, process.memory)
        state = "Z" if process.dead else "S"
        parent = 0 if process.parent is None else process.parent.pid
        known = (
            process.pid,
            "(x)",
            state,
            parent,
            process.group,
            process.session,
            *[0] * 15,
            process.started,
            0,
        )
        return " ".join(map(str, known)).encode()

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

    def pread(self, number: int, size: int, offset: int) -> bytes:
        if number in self._proc:
            return self._proc[number][offset : offset + size]
        return os.pread(number, size, offset)

    def fstat(self, number: int) -> Any:
        description = self._machine.process.files.get(number) if self._machine.task else None
        if description is None:
            return os.fstat(number)
        return types.SimpleNamespace(st_dev=0, st_ino=id(description))

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
        self,
        path: bytes,
        argv: list[bytes],
        env: Any,
        *,
        file_actions: Any = (),
        setsid: bool = False,
        **_: Any,
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
        return child.pid, child.status, types.SimpleNamespace(ru_maxrss=10_000, ru_utime=0.25, ru_stime=0.25)

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
        children = [
            p for p in machine.processes.values() if p.parent is machine.process and pid in (-1, p.pid)
        ]
        if not children:
            raise ChildProcessError(errno.ECHILD, "No child processes")
        return next((child for child in children if child.dead), None)


def short(path: Any) -> str:
    """Return the end of a path, for a reader."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return str(path)
    return "/".join(pathlib.PurePath(os.fsdecode(path)).parts[-2:])
