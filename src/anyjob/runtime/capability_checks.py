"""Whether a backend is made for what it is asked: nothing of that is ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyjob import _typing as t
from anyjob.errors import UnsupportedSpecError
from anyjob.resources import Resources
from anyjob.specs import Call, Command, Spec, kind_of

if TYPE_CHECKING:
    from anyjob.tracking.records import JobRecord


def check_spec(backend: t.TaskBackend, native: Spec) -> None:
    """See to it that nothing which a spec asks for is ignored.

    Raises:
        UnsupportedSpecError: this backend cannot do it.
    """
    can = backend.capabilities
    if isinstance(native, Call) and (native.env or native.cwd is not None) and not can.call_environment:
        raise UnsupportedSpecError(
            f"{backend.in_words} has no environment or directory for one call alone: leave out env "
            "and cwd of the Call, or choose one that has, such as `local` or `processes`"
        )
    redirected = isinstance(native, Command) and (native.stdout is not None or native.stderr is not None)
    if redirected and not can.output_files:
        raise UnsupportedSpecError(
            f"{backend.in_words} keeps what a program writes by itself: leave out stdout and stderr "
            "of the Command, and read the job's logs"
        )


def check_resources(backend: t.TaskBackend, resources: Resources) -> None:
    """See to it that a backend was made to keep what a job asks for: most have no word for it.

    Raises:
        UnsupportedSpecError: it was not.
    """
    can, gpus, name = backend.capabilities, resources.gpus or 0, backend.in_words
    if gpus % 1 and not can.gpu_shares:
        why = f"{name} gives no shares of a GPU: it asks for {gpus:g} gpus, ask for whole ones"
    elif resources.gpu_memory is not None and not can.gpu_memory:
        why = f"{name} gives no GPUs away by their memory: leave gpu_memory out"
    elif resources.needs and not can.needs:
        needs = ", ".join(resources.needs)
        why = f"{name} counts nothing by name: it needs {needs}, leave needs out"
    elif resources.priority and not can.controls:
        why = f"{name} knows no priorities: leave priority out"
    elif resources.signal_before is not None and not backend.tells_walltime:
        why = f"{name} tells no job of its walltime: leave signal_before out"
    elif resources.on_walltime and not backend.reruns_at_walltime:
        why = f"{name} runs no job again that has reached its walltime: leave on_walltime out"
    else:
        return
    raise UnsupportedSpecError(f"{why}, or choose one that does, such as `local`")


def check_tasks(backend: t.TaskBackend, record: JobRecord) -> None:
    """See to it that a job which asks for several tasks has them.

    Raises:
        UnsupportedSpecError: this backend starts one process for a job, or the kind of work is one.
    """
    tasks = record.resources.tasks
    if tasks is None:
        return
    if not backend.capabilities.tasks:
        raise UnsupportedSpecError(
            f"{backend.in_words} starts one process for a job, and this one asks for tasks = {tasks}:"
            " leave it out, and have the program start the others, or choose a backend that has tasks, such "
            "as `local`"
        )
    if len(record.specs) > 1:
        raise UnsupportedSpecError(
            f"a job of the kind {kind_of(record.specs[0])} is one process, and this one asks for tasks = "
            f"{tasks}: commands and calls have tasks"
        )
