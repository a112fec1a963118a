"""The orders by which the keeper starts jobs, made of what ledger and spool hold."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anyjob.builtin.local.machine.gpus import device_variables
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs.bulks import Bulk
from anyjob.builtin.local.supervisor.jobs.file_copies import FileCopies
from anyjob.builtin.local.supervisor.jobs.scheduled_job import ScheduledJob
from anyjob.builtin.local.supervisor.jobs.task_orders import call_tasks, command_tasks
from anyjob.execution.own_attempt import SCRATCH
from anyjob.execution.spawning import GRACE, write_files
from anyjob.ledger.reading.results import given_results
from anyjob.ledger.store import Ledger
from anyjob.outputs.attempt_files import put_attempt_aside
from anyjob.resources import goes_again
from anyjob.specs import Command, outputs_in
from anyjob.spool import environment_file, job_spool
from anyjob.spool.environment_file import JOB_FILE
from anyjob.spool.job_spool import held_input
from anyjob.spool.private_files import open_private, sync_directories, write_private


class OrderBuilder:
    """Makes the ``start`` messages for the jobs of one backend.

    Args:
        ledger: where the results of other jobs stand that are arguments.
        paths: where spools are.
        number: the backend's number in the ledger.
        options: the backend's options, as the ledger has them.
    """

    def __init__(self, ledger: Ledger, paths: RuntimePaths, number: int, options: Mapping[str, Any]) -> None:
        self._ledger = ledger
        self._spool = str(paths.spool)
        self._number = number
        self.slots = int(options["slots"])
        self._preload = list(options.get("preload", ()))
        self._recycle = int(options.get("recycle", 0)) if options.get("isolation") == "reuse" else 0
        self.grace = float(options.get("grace", GRACE))
        self.durable = options.get("durability") == "full"
        self._made: set[str] = set()
        self.copies = FileCopies()

    def build(self, job: ScheduledJob, bulk: Bulk, payload: bytes | None) -> dict[str, Any]:
        """Return the message that starts a job.

        Args:
            job: which job.
            bulk: what it shares with others.
            payload: what it is, pickled; None where that is in a file.

        Raises:
            FilesNotThereYet: its large files are copied first.
            NoRoomForFilesError: the disk has no room for them.
        """
        directory = f"{self._spool}/{job.job_id[:2]}/{job.job_id}"
        self._make_directory(os.path.dirname(directory))
        if job.attempt > 1:
            put_attempt_aside(Path(directory), job.attempt - 1)
        context = bulk.context
        goes_on = goes_again(bulk.resources)
        if goes_on:
            os.makedirs(f"{directory}/{SCRATCH}", 0o700, exist_ok=True)
        extra = read_own_variables(directory) if bulk.has_own_variables else {}
        if goes_on:
            extra[b"ANYJOB_SCRATCH"] = os.fsencode(f"{directory}/{SCRATCH}")
        cwd = context.cwd
        tasks = bulk.resources.tasks
        if bulk.is_call and tasks is not None:
            argv = call_tasks(
                bulk,
                payload,
                directory,
                tasks=tasks,
                grace=self.grace,
                durable=self.durable,
                results=self._results(job, bulk, directory),
            )
            work: dict[str, Any] = {"kind": "command", "argv": argv}
        elif bulk.is_call:
            work = {
                "kind": "call",
                "python": context.python,
                "path": context.path,
                "preload": self._preload,
                # What earlier calls have left in memory is not to count for one that has asked for some;
                # and what has used a GPU holds it until its process ends.
                "recycle": 0 if _needs_own_process(bulk) else self._recycle,
                "shared": bulk.shared,
                "payload": payload,
                "payload_file": directory + "/payload.pkl" if payload is None else None,
                "results": self._results(job, bulk, directory),
            }
        else:
            if payload is None:
                payload = job_spool.read_payload(Path(self._spool), job.job_id)
            command: Command = pickle.loads(payload)
            argv = [os.fsencode(argument) for argument in command.argv]
            work = {
                "kind": "command",
                "argv": argv if tasks is None else command_tasks(argv, tasks, self.grace),
                "stdin": self._lay_files(job, command, directory),
                "outputs": [
                    None if path is None else os.fsencode(path) for path in (command.stdout, command.stderr)
                ],
            }
            extra.update((os.fsencode(name), os.fsencode(value)) for name, value in command.env.items())
            if command.cwd is not None:
                cwd = os.path.join(context.cwd, os.fsencode(command.cwd))
        return {
            "op": "start",
            "id": job.job_id,
            "attempt": job.attempt,
            "spool": directory,
            "cwd": cwd,
            "environment": context.environment,
            "extra": extra,
            "memory": bulk.resources.memory,
            "walltime": bulk.resources.walltime,
            **_warning(bulk),
            "grace": self.grace,
            "durable": self.durable,
            "queue": self._number,
            "slots": job.slots,
            "capacity": self.slots,
            "work": work,
        }

    def grant(self, order: dict[str, Any], devices: Sequence[str], *, begins_later: bool) -> None:
        """Say in a message what the job was given.

        Args:
            order: the message.
            devices: its GPUs.
            begins_later: whether it waits with the keeper for the slots of the queue, or has what it needs.
        """
        if not begins_later:
            order["capacity"] = 0
        if devices:
            order["devices"] = list(devices)
            order["extra"].update(device_variables(devices))

    def _results(self, job: ScheduledJob, bulk: Bulk, directory: str) -> dict[str, Any] | str | None:
        """Return the results of other jobs that are arguments of a call: see `given_results`."""
        if not bulk.context.takes_results:
            return None
        return given_results(self._ledger, job.job_id, Path(self._spool), directory)

    def _lay_files(self, job: ScheduledJob, command: Command, directory: str) -> str | None:
        """Lay the files of a command into its directory; return the one that it reads, if it reads any."""
        if not command.files and command.stdin is None and not outputs_in(command):
            return None
        os.makedirs(directory, 0o700, exist_ok=True)
        if any(file.sha256 for file in command.files.values()):
            self.copies.lay((job.job_id, job.attempt), command, Path(directory))
        else:
            write_files(command, Path(directory))  # which sees whether other jobs have left what this needs
        if command.stdin is None:
            return None
        if command.stdin.left_by is not None:
            return os.path.realpath(command.stdin.left_by)  # the keeper follows no link
        if command.stdin.sha256:
            return str(held_input(Path(directory), command.stdin.sha256))
        path = Path(directory, "stdin")
        write_private(path, command.stdin.content or b"")
        return str(path)

    def _make_directory(self, directory: str) -> None:
        if directory not in self._made:
            os.makedirs(directory, 0o700, exist_ok=True)
            if self.durable:
                sync_directories(Path(self._spool))
            self._made.add(directory)


def _needs_own_process(bulk: Bulk) -> bool:
    """Tell whether a call may share its process with no other, wherever processes are reused."""
    told = bulk.resources.memory is not None or bulk.resources.signal_before is not None
    return told or bulk.demand.takes_gpu


def _warning(bulk: Bulk) -> dict[str, Any]:
    """Return when a job is told that its walltime is near, in seconds from its start on, and by what."""
    walltime, before = bulk.resources.walltime, bulk.resources.signal_before
    if walltime is None or before is None:
        return {}
    # A call is ended by SIGTERM; what tells it of something is another one.
    number = signal.SIGUSR1 if bulk.is_call or bulk.resources.signal == "USR1" else signal.SIGTERM
    # What a call has started itself is not told; of one with several tasks, their group passes it on.
    return {"warning": walltime - before, "signal": int(number), "tells_all": not bulk.is_call}


def read_own_variables(directory: str) -> dict[bytes, bytes]:
    """Return the variables that plugins have for a job alone."""
    try:
        with open_private(f"{directory}/{JOB_FILE}") as stream:
            return environment_file.decode(stream.read())[0]
    except FileNotFoundError:
        return {}


def remove_own_variables(directory: str) -> None:
    """A job has ended: nobody needs its variables any more."""
    try:
        os.unlink(f"{directory}/{JOB_FILE}")
    except FileNotFoundError:
        return
