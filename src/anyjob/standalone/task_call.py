"""One task of a call with several: it makes the call, and leaves its report for its `task_group`.

Started as ``python -P -c SOURCE``; the call lies in ``call.pkl`` of the directory ``ANYJOB_SPOOL``, and the
report goes to ``task.RANK`` there. It imports nothing of anyjob: `anyjob.standalone.runner` comes along.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load_runner(source: str) -> Any:
    """Return the module `anyjob.standalone.runner` from its text."""
    module = type(sys)("anyjob_runner")
    module.__file__ = "anyjob/runner.py"  # where its frames lie, which it leaves out of tracebacks
    sys.modules[module.__name__] = module
    exec(compile(source, module.__file__, "exec"), vars(module))
    return module


def load_call(call: dict[str, Any], runner: Any, spool: str) -> Any:
    """Return what to call, its positional and its keyword arguments; go where it is to run."""
    checkpoint = runner.read_checkpoint(spool) if int(os.environ["ANYJOB_ATTEMPT"]) > 1 else None
    if checkpoint is not None:
        return pickle.loads(pickle.loads(checkpoint)[int(os.environ["ANYJOB_RANK"])])
    payload = call["payload"]
    if payload is None:
        with open(call["payload_file"], "rb") as stream:
            payload = stream.read()
    shared = [] if call["shared"] is None else [pickle.loads(call["shared"])]
    loads = pickle.loads if call["results"] is None else runner.Results(call["results"], spool).loads
    parts: list[Any] = [*shared, *loads(payload)]
    if len(parts) > 3 and parts[4]:  # the directory of its own
        os.chdir(parts[4])
    return parts[:3]


def main() -> int:
    """Make the call, and return the exit code that tells what came of it."""
    spool, rank = os.environ["ANYJOB_SPOOL"], os.environ["ANYJOB_RANK"]
    directory = f"{spool}/task.{rank}"
    with open(f"{spool}/call.pkl", "rb") as stream:
        call: dict[str, Any] = pickle.load(stream)
    runner = load_runner(call["runner"])
    if call["path"]:
        sys.path[:] = call["path"]
    sys.argv[:] = [""]
    sys.modules["__main__"] = type(sys)("__main__")
    terminated = told_early = False
    made: list[Any] = []

    def load() -> list[Any]:
        made[:] = load_call(call, runner, spool)
        if told_early:  # while what the call needs was imported
            warn(signal.SIGUSR1, None)
        return made

    def make_directory() -> None:
        umask = os.umask(0o077)
        os.makedirs(directory, exist_ok=True)
        os.umask(umask)

    def warn(signum: int, frame: Any) -> None:
        nonlocal terminated, told_early
        if not made:
            told_early = True
            return
        make_directory()
        if runner.leave_checkpoint(directory, *made):
            terminated = True
            raise runner.Ended
        from anyjob.errors import Preempted

        raise Preempted("its walltime is near")

    def terminate(signum: int, frame: Any) -> None:
        nonlocal terminated
        terminated = True
        raise runner.Ended

    signal.signal(signal.SIGTERM, terminate)
    if call["is_warned"]:
        signal.signal(signal.SIGUSR1, warn)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGUSR1,))
    report: dict[str, Any] = {}
    try:
        report = runner.pickled(runner.perform(load))
        if call["is_warned"]:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except runner.Ended:
        pass  # it came too late for the call, and too early for what follows
    if terminated:
        return 128 + signal.SIGTERM
    make_directory()
    umask = os.umask(0o077)
    written = runner.leave_outcome(directory, report, durable=call["durable"])
    os.umask(umask)
    if written and report["status"] == "DONE":
        return 0
    return report.get("exit_code") or 1


def leave(code: int) -> None:
    """End this process. One that has failed ends at once, for its end is what ends the others.

    What is done at exit may wait for these, as `MPI_Finalize` does, and they for this one.
    """
    if not code:
        sys.exit()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # the call has closed it, or nobody reads
            pass
    os._exit(code)


if __name__ == "__main__":
    leave(main())
