"""A zygote: a warm, single-threaded Python that forks a child for each call.

Started by the keeper as ``python -P zygote.py FD RUNNER``. It imports nothing of anyjob, so that it
runs in any environment with Python 3.11 or newer: the standard library, and cloudpickle for calls
that were pickled with it. Over FD come and go pickled tuples, each after 4 bytes of length.

First comes ``(path, preload)``. The answer is ``("ready",)``, or ``("failed", message)`` and the end.
Then come orders, and for each go back: ``("forked", send, pid, starttime)`` (0 where that cannot
be told), ``("ended", send, code)`` before the child is reaped, so that nothing is lost if the zygote
dies in between, and ``("reaped", send, peak_memory)``; or ``("unforked", send, message)``.
"""

from __future__ import annotations

import atexit
import gc
import os
import pickle
import select
import sys
import time
import traceback
from signal import SIGCHLD, SIGKILL, SIGTERM, set_wakeup_fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    import _signal as plain_signal  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    import signal as plain_signal
SIG_DFL, SIG_IGN, set_handler = plain_signal.SIG_DFL, plain_signal.SIG_IGN, plain_signal.signal

MARK = "ANYJOB_ZYGOTE"
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
VARIABLES = ("ANYJOB_KEEPER", "ANYJOB_JOB_ID", "ANYJOB_ATTEMPT", "ANYJOB_SPOOL")
STREAMS = ((1, "/stdout"), (2, "/stderr"))
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
NO_OUTCOME = 74
"""The exit code of a call whose outcome could not be written: EX_IOERR of sysexits.h."""


class Zygote:
    """The loop: orders in, children out, reports back."""

    def __init__(self, fd: int, runner: Any) -> None:
        self._fd = fd
        self._runner = runner
        self._received = bytearray()
        self._children: dict[int, int] = {}
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._mark = mark_place()
        self._host = os.uname().nodename

    def serve(self, orders: list[Any]) -> None:
        """Fork a child for each order, these first, until the keeper closes the connection."""
        set_handler(SIGCHLD, lambda *_: None)
        set_wakeup_fd(self._waker)
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self.tell("ready")
        for order in orders:
            self._start(order)
        while True:
            for fd, _ in poll.poll():
                if fd == self._fd:
                    for order in self.receive():
                        self._start(order)
                else:
                    os.read(self._wake, 4096)
            self._reap()

    def tell(self, *report: Any) -> None:
        """Tell the keeper something."""
        content = pickle.dumps(report, 4)
        view = memoryview(len(content).to_bytes(4, "little") + content)
        while view:
            view = view[os.write(self._fd, view) :]

    def receive(self) -> list[Any]:
        """Read once, and return what is whole. The keeper's end is ours: there is none to report to."""
        data = os.read(self._fd, 1 << 18)
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

    def _start(self, order: dict[str, Any]) -> None:
        for pickled in (order["shared"], order["payload"]):
            if pickled is not None and b"cloudpickle" in pickled[:4096]:
                warm("cloudpickle")
        before = ticks()
        try:
            pid = os.fork()
        except OSError as error:
            self.tell("unforked", order["send"], f"cannot fork: {error.strerror}")
            return
        if pid == 0:
            try:
                self._child(order)
            except BaseException:
                traceback.print_exc()
                os._exit(NO_OUTCOME)
        self._children[pid] = order["send"]
        self.tell("forked", order["send"], pid, before if before == ticks() else 0)

    def _reap(self) -> None:
        while self._children:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            send = self._children.pop(ended.si_pid, None)
            if send is not None:
                left = ended.si_code == os.CLD_EXITED
                self.tell("ended", send, ended.si_status if left else -ended.si_status)
            _, _, usage = os.wait4(ended.si_pid, 0)
            if send is not None:
                self.tell("reaped", send, usage.ru_maxrss * 1024)

    # --- in the child -------------------------------------------------------------------------
    #
    # Each page of memory that a child touches is copied for it, and that is most of what a child
    # costs. So what follows is plain, avoids the detours of the library (`signal.signal` goes through
    # enums), and has been run before the first fork (`rehearse`).

    def _child(self, order: dict[str, Any]) -> None:
        set_wakeup_fd(-1)
        set_handler(SIGCHLD, SIG_DFL)
        self._carry(order["mark"])
        os.setsid()
        pid = os.getpid()
        try:
            os.symlink(str(pid), order["claim"])
        except FileExistsError:
            os._exit(0)  # somebody else has it: this copy comes too late
        os.close(self._fd)
        os.close(self._wake)
        os.close(self._waker)
        for number, name in STREAMS:
            fd = os.open(order["spool"] + name, APPEND, 0o600)
            os.dup2(fd, number)
            os.close(fd)
        came = False

        def end(signum: int, frame: Any) -> None:
            nonlocal came
            came = os.getpid() == pid
            raise self._runner.Ended

        set_handler(SIGTERM, end)
        for name, value in order["variables"].items():
            os.environ[name] = value
        fresh_state()
        said: dict[str, Any] = {}
        try:
            said = self._runner.pickled(self._runner.perform(lambda: load_call(order)))
            set_handler(SIGTERM, SIG_IGN)
        except self._runner.Ended:
            pass  # it came too late for the call, and too early for what follows
        if os.getpid() != pid:
            os._exit(0)  # the call forked, and its child came back here
        if not came:
            leave(order, said, self._host)
        set_handler(SIGTERM, SIG_DFL)
        finish()
        if came:
            os.kill(pid, SIGTERM)  # it has cleaned up behind itself
        os._exit(exit_code(said))

    def _carry(self, mark: bytes) -> None:
        """Write a job's mark over the zygote's own, where /proc/PID/environ reads it."""
        if len(mark) <= len(self._mark):
            self._mark[: len(mark)] = mark

    def rehearse(self) -> None:
        """Run what children run, as far as it leaves no trace, and make room for their variables."""
        for name in VARIABLES:
            os.environ[name] = ""
        order = {"cwd": None, "payload": pickle.dumps((abs, (1,), {})), "shared": None}
        for _ in range(20):
            self._runner.pickled(self._runner.perform(lambda: load_call(order)))


def fresh_state() -> None:
    """Let nothing be shared between children that each should have for itself."""
    atexit._clear()
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # else all children would draw the same numbers; Python's own sees to itself


def load_call(order: dict[str, Any]) -> Any:
    """Return what to call, its positional and its keyword arguments; go where it is to run."""
    if order["cwd"]:
        os.chdir(order["cwd"])
    payload = order["payload"]
    if payload is None:
        fd = os.open(order["payload_file"], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(fd, "rb") as stream:
            if os.fstat(fd).st_uid != os.getuid():
                raise PermissionError(f"{order['payload_file']} is somebody else's: it is not unpickled")
            payload = stream.read()
    if order["shared"] is None:
        return pickle.loads(payload)
    return (pickle.loads(order["shared"]), *pickle.loads(payload))


def exit_code(said: dict[str, Any]) -> int:
    """Return the exit code that tells what came of a call."""
    if said["status"] == "DONE":
        return 0
    code = said.get("exit_code")
    return code & 0xFF if isinstance(code, int) else 1


def leave(order: dict[str, Any], said: dict[str, Any], host: str) -> None:
    """Write what came of a call: the file appears at once, or not at all."""
    said["host"] = host
    final = order["spool"] + "/outcome.pkl"
    part = final + ".part"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    content = pickle.dumps(said, 5)
    while content:
        content = content[os.write(fd, content) :]
    if order["durable"]:
        os.fsync(fd)
    os.close(fd)
    os.rename(part, final)
    if said["status"] != "DONE":
        sys.stderr.write(said.get("traceback") or said["message"] + "\n")


def finish() -> None:
    """Do what Python does at its end: wait for threads, run what was registered, flush."""
    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue


# --- starting ---------------------------------------------------------------------------------


def mark_place() -> memoryview:
    """Return the memory of the mark that the keeper has given us; empty where it cannot be had.

    What we exec does not inherit it.
    """
    nowhere = memoryview(bytearray())
    value = os.environ.pop(MARK, None)
    if value is None:
        return nowhere
    try:
        import ctypes

        # Where the environment was when we were started, and where /proc looks for it: the field
        # env_start of /proc/self/stat.
        with open("/proc/self/stat", "rb") as stat, open("/proc/self/environ", "rb") as environ:
            start = int(stat.read().rpartition(b")")[2].split()[47])
            given = environ.read()
        entry = os.fsencode(f"{MARK}={value}")
        at = (b"\0" + given).index(b"\0" + entry)
        place = (ctypes.c_char * len(entry)).from_address(start + at)
    except (ImportError, OSError, ValueError, IndexError):
        return nowhere
    return memoryview(place).cast("B")


def ticks() -> int:
    """Return the time in clock ticks since boot, as the start times of processes are given."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // TICK


def warm(module: str) -> None:
    """Import a module, if it can be, so that the children have it."""
    if module in sys.modules:
        return
    try:
        __import__(module)
    except Exception:
        return  # the child that needs it says so
    gc.collect()
    gc.freeze()


def threads() -> int:
    """Return how many threads this process has, those of native libraries among them."""
    return len(os.listdir("/proc/self/task"))


def prepare(path: list[str], preload: list[str]) -> str:
    """Make ready to fork. Return what is wrong; empty where nothing is."""
    if path:
        sys.path[:] = path
    for module in preload:
        before = threads()
        try:
            __import__(module)
        except BaseException as error:
            said = "".join(traceback.format_exception_only(type(error), error)).strip()
            return f"preload: {module!r} cannot be imported by {sys.executable}: {said}"
        if threads() > before and not stops_threads():
            return (
                f"preload: importing {module!r} starts threads that go on across a fork, and a process with "
                "threads cannot be forked safely: take it out of preload"
            )
    main = type(sys)("__main__")
    sys.modules["__main__"] = main
    return ""


def stops_threads() -> bool:
    """Fork once: libraries that know of forks, such as OpenBLAS, end their threads at one."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return threads() == 1


def load_runner(path: str) -> Any:
    """Return the module that runs a call, from its file."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    loader = SourceFileLoader("anyjob_runner", path)
    spec = spec_from_loader("anyjob_runner", loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules["anyjob_runner"] = module
    loader.exec_module(module)
    return module


def die_with(keeper: int) -> None:
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
    fd, runner, keeper = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    die_with(keeper)
    os.set_inheritable(fd, False)
    sys.argv[:] = [""]
    zygote = Zygote(fd, load_runner(runner))
    messages: list[Any] = []
    while not messages:
        messages = zygote.receive()
    wrong = prepare(*messages[0])
    if wrong:
        zygote.tell("failed", wrong)
        os._exit(1)
    os.dup2(1, 2)
    zygote.rehearse()
    gc.collect()
    gc.freeze()
    zygote.serve(messages[1:])


if __name__ == "__main__":
    main()
