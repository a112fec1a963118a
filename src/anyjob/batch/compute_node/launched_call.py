"""What the launcher does in a process that it has forked for a call; a program's job does not load it.

It is shipped beside `launcher`, and the runner, which makes the call.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any

    from anyjob.batch.compute_node.launcher import Job
else:
    import _signal as signal  # as `launcher` does

ENDED_BY_WARNING = {"anyjob_runner.Ended", "anyjob.errors.Preempted"}
"""What a call raises that ends when it is told so."""
WARNING = signal.SIGRTMIN
"""By what a call is told that its walltime is near: no scheduler sends it."""


def prepare(payload: bytes) -> None:
    """Import what each call needs, before the first of several is made in a process of its own."""
    if b"cloudpickle" in payload:
        try:
            __import__("cloudpickle")
        except ImportError:
            pass  # the call says so
    import gc

    gc.freeze()  # what is not looked at is not copied for each


def leave(code: int) -> None:
    """End a process that was forked for one of several calls, without taking the interpreter apart.

    That is most of what a short call costs. What waits for the end of a process is run, as multiprocessing
    does it.
    """
    import atexit

    threading: Any = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def call(job: Job, runner: Any, usage: Callable[[], dict[str, Any]]) -> int:
    """Make the call, and leave its outcome for the parent to publish. Returns the exit code.

    Args:
        job: what it is the work of.
        runner: the module that makes it.
        usage: gives what this process has used, as fields of an outcome.
    """

    def end(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough to clean up
        raise runner.Ended

    made: list[Any] = []
    told_early = ends_by_warning = False

    def warn(number: int, frame: Any) -> None:
        nonlocal told_early, ends_by_warning
        if not made:
            told_early = True
            return
        ends_by_warning = True
        if runner.leave_checkpoint(job.directory, *made):
            raise runner.Ended
        try:
            from anyjob.errors import Preempted
        except ImportError:  # it need not be there
            raise runner.Ended from None
        raise Preempted("its walltime is near")

    signal.signal(signal.SIGTERM, end)
    if job.work["signal_before"] is not None:
        signal.signal(WARNING, warn)
    os.environb.update(job.work["environment"])
    os.environ["ANYJOB_SPOOL"] = job.directory
    try:
        os.chdir(job.work["cwd"])
    except OSError:  # a call need not have to do with files
        if not job.work.get("must_be_there"):
            os.chdir(job.directory)

    def load() -> Any:
        if job.work.get("must_be_there"):
            os.chdir(job.work["cwd"])  # which says that it is not
        checkpoint = runner.read_checkpoint(job.directory) if job.attempt > 1 else None
        results = runner.Results(spool=job.directory)
        found = runner.pickle.loads(checkpoint) if checkpoint else results.loads(job.payload)
        made[:] = found[:3]
        if told_early:  # while what the call needs was imported
            warn(WARNING, None)
        return found

    outcome: dict[str, Any] = runner.pickled(runner.perform(load))
    for number in (signal.SIGTERM, WARNING):
        signal.signal(number, signal.SIG_IGN)
    if ends_by_warning and ENDED_BY_WARNING.intersection(outcome.get("exception_types") or ()):
        return 1
    outcome["host"] = os.uname().nodename
    outcome["attempt"] = job.attempt
    outcome.update(usage())
    try:
        job.write_part(runner.pickle.dumps(outcome, 4))
    except OSError as error:
        os.unlink(job.path("outcome.part"))
        runner.say_unwritten(job.directory, outcome, error)
        return 1
    if outcome["status"] == "DONE":
        return 0
    sys.stderr.write(outcome.get("traceback") or outcome["message"] + "\n")
    return 1
