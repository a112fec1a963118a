"""A zygote: a warm, single-threaded Python that forks a child for each call.

Started by the keeper as ``python -P main.py FD RUNNER CHILD KEEPER WORKER``: the connection, the files of
`anyjob.standalone.runner` and of what children do, the keeper's pid, the file of what workers do. Over FD + 1
come the files of workers. It imports nothing of anyjob, so that it runs in any environment with Python
3.11 or newer: the standard library, and cloudpickle for calls that were pickled with it. Over FD come and go
pickled tuples, each after 4 bytes of length.

First comes ``(path, preload)``. The answer is ``("ready",)``, or ``("failed", message)`` and the end.
Then come orders, and for each go back: ``("forked", dispatch_id, pid, starttime)`` (0 where that cannot
be told), ``("exited", dispatch_id, code)`` before the child is reaped, so that nothing is lost if the zygote
dies in between, and ``("reaped", dispatch_id, cpu_seconds, peak_kib, io)``, where ``io`` is what its
``/proc/PID/io`` said; or ``("fork-failed", dispatch_id, message)``.
An order that says ``recycle`` is one for a worker, see `anyjob.builtin.local.zygote.worker`: a byte with its
files has come over FD + 1.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import sys
import time
import traceback
from signal import SIGCHLD, SIGKILL, set_wakeup_fd, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

MARK = "ANYJOB_ZYGOTE"
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
WORKER = "anyjob_zygote_worker"
NO_OUTCOME = 74
"""The exit code of a call whose outcome could not be written: EX_IOERR of sysexits.h."""


class Zygote:
    """The loop: orders in, children out, reports back.

    Args:
        fd: the connection to the keeper; the next one is that over which the files of workers come.
        runner: the module that runs calls.
        child: the module that has what children do.
        worker_path: the file of the module that has what workers do; it is loaded for the first of them.
    """

    def __init__(self, fd: int, runner: Any, child: Any, worker_path: str = "") -> None:
        self._fd = fd
        self._worker_path = worker_path
        self._runner = runner
        self._child = child
        self._received = bytearray()
        self._children: dict[int, int] = {}
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._mark = mark_memory()
        self._host = os.uname().nodename

    def serve(self, orders: list[Any]) -> None:
        """Fork a child for each order, these first, until the keeper closes the connection."""
        signal(SIGCHLD, lambda *_: None)
        set_wakeup_fd(self._waker)
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self.report("ready")
        for order in orders:
            self._fork(order)
        while True:
            for fd, _ in poll.poll():
                if fd == self._fd:
                    for order in self.receive():
                        self._fork(order)
                else:
                    os.read(self._wake, 4096)
            self._reap()

    def report(self, *fields: Any) -> None:
        """Tell the keeper something."""
        content = pickle.dumps(fields, 4)
        view = memoryview(len(content).to_bytes(4, "little") + content)
        while view:
            view = view[os.write(self._fd, view) :]

    def receive(self) -> list[Any]:
        """Read once, and return what is whole. The keeper's end is ours: there is none to report to."""
        data = os.read(self._fd, 1 << 16)
        if not data:
            os._exit(0)
        self._received += data
        messages = []
        while len(self._received) >= 4:
            size = int.from_bytes(self._received[:4], "little")
            if len(self._received) < 4 + size:
                break
            messages.append(pickle.loads(bytes(self._received[4 : 4 + size])))
            del self._received[: 4 + size]
        return messages

    def _fork(self, order: dict[str, Any]) -> None:
        if "recycle" in order:
            self._fork_worker(order)
            return
        for pickled in (order["shared"], order["payload"]):
            if pickled is not None and b"cloudpickle" in pickled[:4096]:
                import_early("cloudpickle")
        self._fork_child(order["dispatch_id"], self._child.run, order, self._runner)

    def _fork_worker(self, order: dict[str, Any]) -> None:
        """Fork a child that stays; it is of use for all that follow to have what it needs from here."""
        files = self._receive_files()
        if WORKER not in sys.modules:
            load_module(WORKER, self._worker_path)
            gc.collect()
            gc.freeze()
        run = sys.modules[WORKER].run
        try:
            self._fork_child(order["dispatch_id"], run, order["recycle"], files, self._runner, self._child)
        finally:
            for fd in files:
                os.close(fd)

    def _receive_files(self) -> tuple[int, ...]:
        """Return the descriptors that the keeper has sent before it has ordered a worker."""
        import _socket

        passed = _socket.socket(fileno=os.dup(self._fd + 1))
        try:
            _, control, _, _ = passed.recvmsg(1, 64, _socket.MSG_CMSG_CLOEXEC)
        finally:
            passed.close()
        if not control:
            os._exit(0)
        return tuple(memoryview(control[0][2]).cast("i"))

    def _fork_child(self, dispatch_id: int, run: Callable[..., NoReturn], *what: Any) -> None:
        before = ticks_since_boot()
        try:
            pid = os.fork()
        except OSError as error:
            self.report("fork-failed", dispatch_id, f"cannot fork: {error.strerror}")
            return
        if pid == 0:
            try:
                descriptors = (self._fd, self._fd + 1, self._wake, self._waker)
                run(*what, self._mark, descriptors, self._host)
            except BaseException:  # in the child, which must not come back into the zygote's loop
                traceback.print_exc()
            os._exit(NO_OUTCOME)
        self._children[pid] = dispatch_id
        self.report("forked", dispatch_id, pid, before if before == ticks_since_boot() else 0)

    def _reap(self) -> None:
        while self._children:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            dispatch_id = self._children.pop(ended.si_pid, None)
            if dispatch_id is not None:
                exited = ended.si_code == os.CLD_EXITED
                self.report("exited", dispatch_id, ended.si_status if exited else -ended.si_status)
            io = read_io(ended.si_pid) if dispatch_id is not None else b""
            _, _, usage = os.wait4(ended.si_pid, 0)
            if dispatch_id is not None:
                self.report("reaped", dispatch_id, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, io)


# --- starting ---------------------------------------------------------------------------------


def mark_memory() -> memoryview:
    """Return the memory of the mark that the keeper has given us; empty where it cannot be had.

    What we exec does not inherit it.
    """
    nothing = memoryview(bytearray())
    value = os.environ.pop(MARK, None)
    if value is None:
        return nothing
    try:
        import ctypes

        # Where the environment was when we were started, and where /proc looks for it: the field
        # env_start of /proc/self/stat.
        with open("/proc/self/stat", "rb") as stat, open("/proc/self/environ", "rb") as environ:
            start = int(stat.read().rpartition(b")")[2].split()[47])
            given = environ.read()
        entry = os.fsencode(f"{MARK}={value}")
        at = (b"\0" + given).index(b"\0" + entry)
        memory = (ctypes.c_char * len(entry)).from_address(start + at)
    except (ImportError, OSError, ValueError, IndexError):
        return nothing
    return memoryview(memory).cast("B")


def read_io(pid: int) -> bytes:
    """Return what /proc says of what a process has read and written; empty where that cannot be read."""
    try:
        fd = os.open(f"/proc/{pid}/io", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""
    finally:
        os.close(fd)


def ticks_since_boot() -> int:
    """Return the time in clock ticks since boot, as the start times of processes are given."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // TICK


def import_early(module: str) -> None:
    """Import a module, if it can be, so that the children have it."""
    if module in sys.modules:
        return
    try:
        __import__(module)
    except Exception:
        return  # the child that needs it says so
    forget_archives()
    gc.collect()
    gc.freeze()


def forget_archives() -> None:
    """Have the children look anew at what is in the archives on the path, which may be replaced meanwhile."""
    for entry, finder in list(sys.path_importer_cache.items()):
        if type(finder).__module__ == "zipimport":
            del sys.path_importer_cache[entry]
            sys.modules["zipimport"]._zip_directory_cache.clear()


def thread_count() -> int:
    """Return how many threads this process has, those of native libraries among them."""
    return len(os.listdir("/proc/self/task"))


def prepare(path: list[str], preload: list[str]) -> str:
    """Make ready to fork. Return what is wrong; empty where nothing is."""
    if path:
        sys.path[:] = path
    for module in preload:
        before = thread_count()
        try:
            __import__(module)
        except BaseException as error:  # of a user's module, sys.exit() too
            text = "".join(traceback.format_exception_only(type(error), error)).strip()
            return f"preload: {module!r} cannot be imported by {sys.executable}: {text}"
        if thread_count() > before and not forks_end_threads():
            return (
                f"preload: importing {module!r} starts threads that go on across a fork, and a process with "
                "threads cannot be forked safely: take it out of preload"
            )
    main = type(sys)("__main__")
    sys.modules["__main__"] = main
    return ""


def forks_end_threads() -> bool:
    """Fork once: libraries that know of forks, such as OpenBLAS, end their threads at one."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return thread_count() == 1


def load_module(name: str, path: str) -> Any:
    """Return a module from its file: where it lies is not on the import path."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    loader = SourceFileLoader(name, path)
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def end_with_keeper(keeper: int) -> None:
    """Have Linux end us when the keeper is killed: what it has sent must not start any more."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, SIGKILL)
    except (ImportError, OSError, AttributeError):
        return
    if os.getppid() != keeper:
        os._exit(0)


def main() -> None:
    """Serve until the keeper closes the connection."""
    fd, runner_path, child_path, keeper, worker_path = sys.argv[1:]
    os.environ.pop("ANYJOB_INTERPRETER", None)  # see anyjob.execution.interpreter
    end_with_keeper(int(keeper))
    for number in (int(fd), int(fd) + 1):
        os.set_inheritable(number, False)
    sys.argv[:] = [""]
    child, runner = load_module("anyjob_zygote_child", child_path), load_module("anyjob_runner", runner_path)
    zygote = Zygote(int(fd), runner, child, worker_path)
    messages: list[Any] = []
    while not messages:
        messages = zygote.receive()
    failure = prepare(*messages[0])
    if failure:
        zygote.report("failed", failure)
        os._exit(1)
    os.dup2(1, 2)
    child.rehearse(runner)
    forget_archives()
    gc.collect()
    gc.freeze()
    zygote.serve(messages[1:])


if __name__ == "__main__":
    main()
