"""What a job needs, and what it is called."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import force_setattr

from anyjob.errors import SpecError
from anyjob.retry import Retry, as_retry
from anyjob.retry import check as check_retries
from anyjob.text import units

MAX_NAME = 255
"""Bytes that the name of a job, or that of a file in its directory, may have: Linux's NAME_MAX."""
SIGNALS = ("TERM", "USR1")
"""What a program may be told by that its walltime is near."""
MAX_PRIORITY = 1_000_000
SMALLEST_MEMORY = 2**20
"""Bytes below which a bare number was not meant as bytes: nothing runs in so few."""
ELSEWHERE = {
    "cpus": ("cores", "ncpus", "num_cpus", "cpus_per_task", "threads", "threads_per_core", "nprocs"),
    "memory": ("mem", "mem_gb", "mem_mb", "ram", "vmem"),
    "gpus": ("gres", "ngpus", "num_gpus", "gpus_per_node", "gpus_per_task"),
    "nodes": ("num_nodes", "machines", "hosts"),
    "tasks": ("ntasks", "num_tasks", "process_count", "ranks"),
    "walltime": ("time", "timeout", "timeout_min", "time_limit", "run_time_max", "runtime", "duration"),
    "name": ("job_name", "slurm_job_name", "label"),
}
"""What other tools call these."""


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a job needs, and what it is called; in what people write.

    Args:
        cpus: cores; 4 or "4". None leaves it to the backend.
        memory: bytes, or text such as "8GiB"; kept in bytes.
        gpus: accelerators: 1, 2, …; or, below 1, the share of one that it has with others: 0.5.
        gpu_memory: bytes of an accelerator, or text such as "6GiB": what each of whole ones must have at
            least; alone, or with a share, what the job takes of one that it has with others.
        nodes: machines.
        tasks: processes that it is, which end together; each has these ``cpus``. None: it is one process, and
            knows nothing of tasks.
        walltime: seconds it may run, or text such as "2h" or "1:30:00"; kept in seconds.
        name: what a person calls it; need not be unique.
        tags: more of that, to look for jobs by.
        options: for one engine only, by its type; other engines ignore them:
            ``{"slurm": {"partition": "gpu"}}``.
        priority: the higher, the sooner it starts, where the backend knows priorities; 0 for most.
        restartable: it may run a second time where the first was lost half way.
        needs: how much it takes of what the backend counts under a name: ``{"license": 1}``.
        retries: how often it is run again where it fails: a number, or `anyjob.Retry`.
        signal_before: seconds before its walltime, or text such as "2m": then it is told that this is near.
        signal: what a program is told by: ``"TERM"`` or ``"USR1"``. A call is told by its object's
            ``checkpoint``, which gives the call that goes on in the next attempt, or by `anyjob.Preempted`.
        on_walltime: ``"requeue"`` for one that goes on in another attempt where it has reached its walltime.

    Raises:
        SpecError: a value that makes no sense.
    """

    cpus: int | None = None
    memory: int | None = None
    gpus: int | float | None = None
    nodes: int | None = None
    tasks: int | None = None
    walltime: float | None = None
    name: str = ""
    tags: dict[str, str] = {}
    options: dict[str, dict[str, Any]] = {}
    restartable: bool = False
    gpu_memory: int | None = None
    needs: dict[str, int] = {}
    priority: int = 0
    retries: Retry | None = None
    on_walltime: str = ""
    signal_before: float | None = None
    signal: str = "TERM"

    def __post_init__(self) -> None:
        for field in ("cpus", "nodes", "tasks"):
            value = getattr(self, field)
            if value is not None:
                force_setattr(self, field, units.parse_count(value, what=field))
        if self.gpus is not None:
            force_setattr(self, "gpus", units.parse_share(self.gpus, what="gpus"))
        for field in ("memory", "gpu_memory"):
            value = getattr(self, field)
            if value is not None:
                force_setattr(self, field, units.parse_memory(value, what=field))
        if self.walltime is not None:
            force_setattr(self, "walltime", units.parse_duration(self.walltime))
        if not isinstance(self.name, str) or "\0" in self.name:
            raise SpecError(f"name is text without NUL bytes, not {self.name!r}")
        if len(self.name.encode("utf-8", "surrogatepass")) > MAX_NAME:
            raise SpecError(f"name has {MAX_NAME} bytes at most; this one is too long: {self.name[:60]!r}…")
        if not isinstance(self.tags, dict):
            raise SpecError(f'tags are a mapping such as {{"study": "a"}}, not {self.tags!r}')
        if not all(isinstance(key, str) for key in self.tags):
            raise SpecError(f"the names of tags are text: {self.tags!r}")
        if any(not isinstance(value, str) for value in self.tags.values()):
            force_setattr(self, "tags", {key: str(value) for key, value in self.tags.items()})
        if not isinstance(self.options, dict) or not all(isinstance(v, dict) for v in self.options.values()):
            raise SpecError(
                'options go by the type of the backend: {"slurm": {"partition": "gpu"}}, '
                f"not {self.options!r}"
            )
        if not isinstance(self.restartable, bool):
            raise SpecError(f"restartable is True or False, not {self.restartable!r}")
        force_setattr(self, "priority", check_priority(self.priority))
        if self.needs:
            force_setattr(self, "needs", _read_needs(self.needs))
        if self.retries is not None:
            force_setattr(self, "retries", as_retry(self.retries))
            check_retries(self)
        if self.on_walltime:
            _check_on_walltime(self)
        if self.signal_before is not None:
            force_setattr(self, "signal_before", _check_signal_before(self))
        elif self.signal != "TERM":
            raise SpecError("signal is for a job that is told before its walltime: signal_before=…")


def _check_signal_before(resources: Resources) -> float:
    before = units.parse_duration(resources.signal_before or 0.0, what="signal_before")
    if resources.walltime is None:
        raise SpecError("signal_before is for a job with a walltime: walltime=…")
    if before >= resources.walltime:
        raise SpecError("signal_before has to be less than the walltime, so that the job has begun by then")
    if resources.signal not in SIGNALS:
        raise SpecError(f"signal is {' or '.join(SIGNALS)}, not {resources.signal!r}")
    return before


def _check_on_walltime(resources: Resources) -> None:
    if resources.on_walltime != "requeue":
        raise SpecError(f'on_walltime is "requeue", or nothing, not {resources.on_walltime!r}')
    if resources.walltime is None:
        raise SpecError('on_walltime="requeue" is for a job with a walltime: walltime=…')


def _read_needs(needs: Any) -> dict[str, int]:
    """Return how much of what is counted by name a job takes; what it takes nothing of is left out.

    Raises:
        SpecError: it is no mapping of names to whole numbers.
    """
    if not isinstance(needs, dict) or not all(isinstance(name, str) and name for name in needs):
        raise SpecError(f'needs go by name: {{"license": 1}}, not {needs!r}')
    for name in set(needs).intersection(Resources.__struct_fields__):
        raise SpecError(f"needs: {name} is asked for by itself: {name}={needs[name]!r}")
    counts = {
        name: units.parse_count(value, what=f"needs: {name}", minimum=0) for name, value in needs.items()
    }
    return {name: count for name, count in counts.items() if count}


def check_priority(priority: Any) -> int:
    """Return a priority as a whole number.

    Raises:
        SpecError: it is none.
    """
    try:
        number = int(priority) if isinstance(priority, str) else priority
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) > MAX_PRIORITY:
        raise SpecError(
            f"priority is a whole number from {-MAX_PRIORITY} to {MAX_PRIORITY}, the higher the sooner, "
            f"not {priority!r}"
        )
    return number


def goes_again(resources: Resources) -> bool:
    """Tell whether jobs that are given this may have more than one attempt."""
    may_be_retried = resources.retries is not None and resources.retries.times > 0
    return may_be_retried or resources.restartable or bool(resources.on_walltime)


def labels_of(resources: Resources) -> tuple[str, ...]:
    """Return by what jobs can be limited in number: the name, and ``tag:KEY=VALUE`` for each tag."""
    name = (resources.name,) if resources.name else ()
    return (*name, *(tag_label(key, value) for key, value in resources.tags.items()))


def tag_label(key: str, value: str) -> str:
    """Return what a limit of the jobs with a tag is kept under."""
    return f"tag:{key}={value}"


def total_cpus(resources: Resources) -> int:
    """Return how many cores a job takes with all of its tasks; one, where it does not say."""
    return (resources.cpus or 1) * (resources.tasks or 1)


_NOTHING_ASKED = Resources()


def nearest_resource(word: str) -> str | None:
    """Return the resource that is meant by a word that is none: what it is like, or what others call so."""
    from anyjob.text.suggestions import nearest

    called = (ours for ours, words in ELSEWHERE.items() if word.lower() in words)
    return next(called, None) or nearest(word, Resources.__struct_fields__, 0.7)  # seed is not needs


def make_resources(given: dict[str, Any]) -> Resources:
    """Make `Resources` of the keyword arguments of a ``run``.

    Raises:
        SpecError: a keyword that is none, with the nearest that is; or a value that makes no sense.
    """
    if not given:
        return _NOTHING_ASKED
    unknown = set(given).difference(Resources.__struct_fields__)
    if unknown:
        word = min(unknown)
        near = nearest_resource(word)
        hint = f"did you mean {near!r}?" if near else "there are: " + ", ".join(Resources.__struct_fields__)
        raise SpecError(
            f"unknown resource {word!r}; {hint} (What one engine alone knows goes by its type: "
            f'options={{"slurm": {{{word!r}: …}}}})'
        )
    for field in ("memory", "gpu_memory"):
        memory = given.get(field)
        if isinstance(memory, (int, float)) and 0 < memory < SMALLEST_MEMORY:
            raise SpecError(
                f'{field} = {memory} is in bytes: write "{memory:g}GiB" or "{memory:g}MiB", or '
                f'"{memory:g}B" if bytes are meant'
            )
    return Resources(**given)
