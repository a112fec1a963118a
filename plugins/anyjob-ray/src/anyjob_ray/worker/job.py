"""The job that a worker process runs, and what of it the threads of the process share."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from anyjob_ray.worker.batch import Batch


class JobInterrupted(BaseException):
    """Raised in a job that is cancelled or has run too long, so that its clean-up runs."""


class LaunchContext(NamedTuple):
    """What the jobs of one launch have in common.

    Args:
        import_path: directories in which their modules may be, if they are here.
        namespace: that of the event actor.
        event_actor: the name of the actor that is told of jobs that run.
        out_of_band: whether large buffers of a value may be returned beside its pickle.
        grace: seconds after which a job that was interrupted, and has not ended, is killed with its process.
        notify: host, port and key of who wants to be told of the end by a datagram; None: nobody.
    """

    import_path: list[str]
    namespace: str
    event_actor: str
    out_of_band: bool
    grace: float
    notify: tuple[str, int, bytes] | None = None


class Job:
    """A job that this process runs.

    Args:
        payload: the tuple that `anyjob_ray.payload` makes.
        buffers: the large parts of its arguments, where they lie in the object store; then what the jobs have
            left that it starts after, as `anyjob_ray.worker.remote_functions.run_job` returns that.
    """

    def __init__(self, payload: tuple[Any, ...], buffers: tuple[Any, ...]) -> None:
        self.job_id: str = payload[0]
        self.kind: str = payload[1]
        self.work: tuple[bytes, bytes] = payload[2]
        self.environment: dict[str, str] = payload[3]
        self.cwd: str | None = payload[4]
        """Of a call, its own; of a program, that of who has submitted it, which may be of another machine."""
        self.walltime: float | None = payload[5]
        self.pickled_context: bytes = payload[6]
        needs: list[str] = payload[7]
        self.buffers = buffers[: len(buffers) - len(needs)]
        given = dict(zip(needs, buffers[len(self.buffers) :], strict=True))
        self.before = {job_id: given.pop(job_id) for job_id in payload[8]}
        """What those have left of which the success is all that counts, by the ids of these jobs."""
        self.results = given
        """What those have left whose results are arguments."""
        self.context: LaunchContext
        self.began = time.monotonic()
        self.started = time.time()
        self.interruptible = False
        """Whether its own code runs, in which a signal may raise."""
        self.reported = False
        """Whether the event actor was told that it runs."""
        self.end_reason = ""
        """``cancelled`` or ``walltime``, where it is to end for that."""
        self.kill_at: float | None = None
        self.output_offsets: list[int] = []
        """Where in the worker's stdout and stderr its own output begins."""

    def interrupted_outcome(self) -> dict[str, Any]:
        """Return the outcome of a job that was interrupted."""
        outcome: dict[str, Any] = {"status": "CANCELLED", "started": self.started, "finished": time.time()}
        if self.end_reason == "walltime":
            outcome["status"], outcome["reason"] = "ERROR", "walltime"
            outcome["message"] = f"it ran longer than the {self.walltime:g} s that were asked for"
        return outcome


class WorkerState:
    """What a worker process is doing, shared by its main thread and the one that monitors it."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.batch: Batch | None = None
        """Of several jobs: of one, it is clear which is cancelled."""
        self.last_batch_task = ""
        """The id of the Ray task that runs a batch, or was the last to do so."""
