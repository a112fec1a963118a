"""What a zygote's child does: it claims the call, runs it, and writes what came of it.

Each page of memory that a child touches is copied for it, and that is most of what a child costs. So what is
in here is plain, avoids the detours of the library (`signal.signal` goes through enums), and has been run
before the first fork (`rehearse`).
"""

from __future__ import annotations

import atexit
import os
import pickle
import sys
import traceback
from signal import SIGCHLD, SIGTERM, SIGUSR1, set_wakeup_fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

try:
    import _signal as plain_signal  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    import signal as plain_signal
SIG_DFL, SIG_IGN, set_handler = plain_signal.SIG_DFL, plain_signal.SIG_IGN, plain_signal.signal

VARIABLES = ("ANYJOB_KEEPER", "ANYJOB_JOB_ID", "ANYJOB_ATTEMPT", "ANYJOB_SPOOL")
STREAMS = ((1, "/stdout"), (2, "/stderr"))
ENTROPY = 32
"""Bytes of chance that random numbers begin with."""
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


def run(
    order: dict[str, Any], runner: Any, mark: memoryview, descriptors: tuple[int, ...], host: str
) -> NoReturn:
    """Run a call, and end this process.

    Args:
        order: what the keeper says of the call.
        runner: the module `anyjob.standalone.runner`.
        mark: the memory that the mark of the process is in.
        descriptors: those of the zygote, which the call does not get.
        host: the name of this host.
    """
    set_wakeup_fd(-1)
    set_handler(SIGCHLD, SIG_DFL)
    write_mark(mark, order["mark"])
    os.setsid()
    try:
        os.symlink(str(os.getpid()), order["claim"])
    except FileExistsError:
        os._exit(0)  # somebody else has it: this copy comes too late
    for fd in descriptors:
        os.close(fd)
    reset_inherited_state()
    if order.get("group"):
        join_group(order["group"])
    for name, value in order["variables"].items():
        os.environb[name] = value
    open_streams(order["spool"])
    end(order, make_call(order, runner), runner, host)


def make_call(order: dict[str, Any], runner: Any) -> dict[str, Any] | None:
    """Make a call, whose streams are open; return its report, or None where it was terminated."""
    pid = os.getpid()
    terminated = False

    def terminate(signum: int, frame: Any) -> None:
        nonlocal terminated
        terminated = os.getpid() == pid
        raise runner.Ended

    call: list[Any] = []
    told_early = False

    def load() -> list[Any]:
        call[:] = load_call(order, runner)
        if told_early:  # while what the call needs was imported
            warn(SIGUSR1, None)
        return call

    def warn(signum: int, frame: Any) -> None:
        nonlocal terminated, told_early
        if os.getpid() != pid:
            return
        if not call:
            told_early = True
            return
        if runner.leave_checkpoint(order["spool"], *call):
            terminated = True
            raise runner.Ended
        from anyjob.errors import Preempted

        raise Preempted("its walltime is near")

    set_handler(SIGTERM, terminate)
    if order.get("is_warned"):
        set_handler(SIGUSR1, warn)
    outcome: dict[str, Any] = {}
    try:
        outcome = runner.pickled(runner.perform(load))
        if order.get("is_warned"):
            set_handler(SIGUSR1, SIG_IGN)
        set_handler(SIGTERM, SIG_IGN)
    except runner.Ended:
        pass  # it came too late for the call, and too early for what follows
    if os.getpid() != pid:
        os._exit(0)  # the call forked, and its child came back here
    return None if terminated else outcome


def end(order: dict[str, Any], outcome: dict[str, Any] | None, runner: Any, host: str) -> NoReturn:
    """Write what came of a call, and end this process as Python would; by SIGTERM if that ended the call."""
    if outcome is not None:
        write_outcome(order, outcome, runner, host)
    set_handler(SIGTERM, SIG_DFL)
    finalize()
    if outcome is None:
        os.kill(os.getpid(), SIGTERM)  # it has cleaned up behind itself
        os._exit(1)
    os._exit(exit_code(outcome))


def open_streams(spool: str) -> None:
    """Have what is written to stdout and stderr go to the files of a job."""
    umask = os.umask(0o077)  # that of who submitted is for what the call makes
    for number, name in STREAMS:
        fd = os.open(spool + name, APPEND, 0o600)
        if fd == number:  # a call before has closed it
            os.set_inheritable(fd, True)
            continue
        os.dup2(fd, number)
        os.close(fd)
    os.umask(umask)


def rehearse(runner: Any) -> None:
    """Run what children run, as far as it leaves no trace, and make room for their variables."""
    for name in VARIABLES:
        os.environ[name] = ""
    order = {"cwd": None, "payload": pickle.dumps((abs, (1,), {})), "shared": None}
    for _ in range(20):
        runner.pickled(runner.perform(lambda: load_call(order, runner)))


def write_mark(memory: memoryview, mark: bytes) -> None:
    """Write a job's mark over the zygote's own, where /proc/PID/environ reads it."""
    if len(mark) <= len(memory):
        memory[: len(mark)] = mark


def reset_inherited_state() -> None:
    """Let nothing be shared between children that each should have for itself."""
    atexit._clear()
    seed_numpy()  # else all children would draw the same numbers; Python's own sees to itself


def seed_numpy() -> None:
    """Have the random numbers of numpy be others, if it is there; by itself it takes far longer."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed(list(memoryview(os.urandom(ENTROPY)).cast("I")))


def join_group(group: str) -> None:
    """Go into the cgroup that limits the memory of the job; where that cannot be, it is watched alone."""
    try:
        with open(group + "/cgroup.procs", "wb", buffering=0) as processes:
            processes.write(b"0")
    except OSError:
        return


def load_call(order: dict[str, Any], runner: Any) -> Any:
    """Return what to call, its positional and its keyword arguments; go where it is to run."""
    if order["cwd"]:
        os.chdir(order["cwd"])
    checkpoint = runner.read_checkpoint(order["spool"]) if order.get("goes_on") else None
    if checkpoint is not None:
        return pickle.loads(checkpoint)
    payload = order["payload"]
    if payload is None:
        with runner.open_own(order["payload_file"]) as stream:
            payload = stream.read()
    results = order.get("results")
    loads = pickle.loads if results is None else runner.Results(results, order["spool"]).loads
    shared = [] if order["shared"] is None else [pickle.loads(order["shared"])]
    call: list[Any] = [*shared, *loads(payload)]
    if len(call) > 3 and call[4]:  # the directory of its own; its variables have come by now
        os.chdir(call[4])
    return call[:3]


def exit_code(outcome: dict[str, Any]) -> int:
    """Return the exit code that tells what came of a call."""
    if outcome["status"] == "DONE":
        return 0
    code = outcome.get("exit_code")
    return code & 0xFF if isinstance(code, int) else 1


def write_outcome(order: dict[str, Any], outcome: dict[str, Any], runner: Any, host: str) -> None:
    """Write what came of a call, for nobody's eyes but the user's."""
    outcome["host"] = host
    umask = os.umask(0o077)
    runner.leave_outcome(order["spool"], outcome, durable=order["durable"])
    os.umask(umask)


def finalize() -> None:
    """Do what Python does at its end: wait for threads, run what was registered, flush."""
    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:  # the exit handlers of a user's modules: the job's outcome is written already
        traceback.print_exc()
    flush_streams()


def flush_streams() -> None:
    """Have what was written to stdout and stderr be in their files."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue
