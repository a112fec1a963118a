"""Jobs in the arguments of calls: each stands for its result, and the call starts after it.

They are sought in lists, tuples, dicts, and the fields of dataclasses, attrs classes and structs. In objects
of other classes, and in what a function has closed over, a handle stays a handle.
"""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from anyjob import _typing as t
from anyjob.errors import DependencyFailedError, SpecError, UnsupportedSpecError
from anyjob.job import JobList
from anyjob.references import STANDS_FOR_RESULT, LazyResultOf, OutputPath, ResultOf
from anyjob.specs import Call, Spec, kind_of
from anyjob.taskjob import TaskJob, lifts

if TYPE_CHECKING:
    from anyjob.runtime.dependencies.prerequisites import After

PLAIN, HANDLE, SEQUENCE, MAPPING, FIELDS, SET = range(6)
"""What a type is, for who seeks handles."""


def take_results(
    backend: t.TaskBackend, specs: Sequence[Spec], after: Sequence[After]
) -> tuple[Sequence[Spec], Sequence[After]]:
    """Replace the jobs in the arguments of calls by references to their results.

    Args:
        backend: what is to make the calls.
        specs: the work.
        after: what each starts after already, or nothing at all.

    Returns:
        the work, with what each of it starts after by now.

    Raises:
        SpecError: a job is where it cannot be replaced.
        UnsupportedSpecError: the backend cannot give a call the result of that job, which has not ended.
        DependencyFailedError: that job has failed, and its result is wanted now.
    """
    calls = [spec for spec in specs if type(spec) is Call]
    given = chain((call.args for call in calls), (call.kwargs.values() for call in calls if call.kwargs))
    if not calls or not holds_handle(given):
        return specs, after
    taken = _Taken(backend)
    replaced: list[Spec] = []
    needed: list[After] = []
    for number, spec in enumerate(specs):
        own = _OfOneCall(taken)
        replaced.append(with_references(spec, own) if isinstance(spec, Call) else spec)
        before = after[number] if after else ()
        needed.append((*before, *own.needed))
    return replaced, needed if any(needed) else after


class _OfOneCall:
    """What takes the place of jobs in the arguments of one call, and which of them it is to start after."""

    def __init__(self, taken: _Taken) -> None:
        self._taken = taken
        self._own: dict[ResultOf, Any] = {}
        self.needed: list[Any] = []

    def __call__(self, handle: Any) -> Any:
        reference = handle._reference()
        if isinstance(reference, OutputPath):
            self.needed.extend(self._taken.of_output(reference))
            return OutputPath(reference, reference.job_id, reference.name)
        made = self._own.get(reference)
        if made is None:
            made = self._taken(reference)
            if isinstance(made, ResultOf):
                made = self._own[reference] = type(made)(made.job_id, made.name, made.job, made.lift)
                self.needed.extend(self._taken.prerequisites(made))
        return made


class _Taken:
    """What takes the place of jobs in the arguments of the calls that are handed over together."""

    def __init__(self, backend: t.TaskBackend) -> None:
        self._backend = backend
        self._made: dict[ResultOf, Any] = {}

    def __call__(self, reference: ResultOf) -> Any:
        """Return a reference, with a handle where the call is made by this process; or the value."""
        if reference not in self._made:
            self._made[reference] = self._taken(reference)
        return self._made[reference]

    def of_output(self, output: OutputPath) -> list[Any]:
        """Return what a call is to start after that is given a file which that leaves."""
        from anyjob.ledger.dependencies import RESULT
        from anyjob.runtime.dependencies.job_outputs import prerequisites

        return prerequisites(self._backend, output, RESULT)

    def prerequisites(self, reference: ResultOf) -> list[Any]:
        """Return what a call is to start after that is given this."""
        from anyjob.ledger.dependencies import RESULT  # which brings SQLite
        from anyjob.ledger.rows import Prerequisite
        from anyjob.runtime.dependencies.dependent import Needed

        if reference.job is None:
            return [Prerequisite(reference.job_id, RESULT)]
        return [Needed(reference.job, RESULT)]

    def _taken(self, reference: ResultOf) -> Any:
        backend = self._backend
        like, job, job_id, name = type(reference), reference.job, reference.job_id, reference.name
        if not backend.capabilities.durable:
            return like(job_id, name, job or backend.services.job(job_id))
        if job is None and backend.queues_in_ledger:
            return like(job_id, name, None, reference.lift)  # the ledger will tell
        job = job or backend.services.job(job_id)
        lift, why = self._way_to_result(job)
        if not why:
            return like(job_id, name, None, lift)  # what is in the ledger is not to keep handles in memory
        if not job.in_final_state():
            raise UnsupportedSpecError(
                f"the result of job {reference.called} cannot be an argument on backend {backend.name()!r}: "
                f"{why}; give what its result() returns, or wait until it has ended"
            )
        try:
            return lazily(job.result()) if isinstance(reference, LazyResultOf) else job.result()
        except Exception as error:
            raise DependencyFailedError(
                f"the result of job {reference.called}, which is an argument, is not to be had: "
                f"{type(error).__name__}: {error}",
                prerequisite=job_id,
            ) from error

    def _way_to_result(self, job: Any) -> tuple[tuple[Callable[[Any], Any], ...], str]:
        """Return what a call makes the result with, of what the job has left; or why it cannot have it."""
        backend, there = self._backend, job.backend()
        lift = lift_of(job)
        if lift is None:
            return (), "what comes of a program is read by who asks for it (a file of its: job.output(NAME))"
        if not there.capabilities.durable:
            return (), f"it is one of backend {there.name()!r}, and lives in this process alone"
        ours, theirs = backend.services.ledger.path, there.services.ledger.path
        if ours != theirs:
            return (), f"it is in another ledger, {theirs}, and not in {ours}"
        return lift, ""


def lift_of(job: Any) -> tuple[Callable[[Any], Any], ...] | None:
    """Return what makes the result of a job, step by step, of the value that it has left: as `result()` does.

    None where that takes more than the value: the result of a program is read by who asks for it.
    """
    record = getattr(job, "_record", None)
    if record is None:
        return None
    if record.kind == "python":
        return ()  # its spec is not needed, and need not be importable here
    specs = record.specs if record.is_ours else ()
    kinds = [kind_of(spec) for spec in specs] or [record.native]
    classes = list(map(job.backend().services.job_type, kinds))
    if "python" in kinds:
        end = kinds.index("python") + 1
        return tuple(lifts(classes[:end], specs[:end]))
    if classes[-1].read.__func__ is TaskJob.read.__func__:  # type: ignore[attr-defined]
        return partial(classes[-1].lift, specs[-1] if specs else None, kinds[-1]), *lifts(classes, specs)
    return None


# --- seeking and replacing --------------------------------------------------------------------------


def holds_handle(given: Iterable[Iterable[Any]]) -> bool:
    """Tell whether a handle is among these values, or in what they hold."""
    level = list(given)
    seen: set[int] = set()
    while level:
        kinds = {kind: kind_of_type(kind) for kind in set(map(type, chain.from_iterable(level)))}
        if HANDLE in kinds.values():
            return True
        containers = {kind: of for kind, of in kinds.items() if of != PLAIN}
        if not containers:
            return False
        found = {id(one): one for one in chain.from_iterable(level) if type(one) in containers}
        unseen = [one for key, one in found.items() if key not in seen]
        level = [_values(one, containers[type(one)]) for one in unseen]
        level += [one for one in unseen if containers[type(one)] == MAPPING]  # its keys: who replaces refuses
        seen.update(found)
    return False


def with_references(call: Call[Any], refer: Callable[[Any], Any]) -> Call[Any]:
    """Return a call with a reference in place of each handle; what the caller holds is not changed.

    Args:
        call: the call.
        refer: gives the reference for a handle, or a value for a reference.

    Raises:
        SpecError: a handle is where it cannot be replaced.
    """
    replacing = _Replacing(refer)
    args = tuple(replacing(value, f"argument {n}") for n, value in enumerate(call.args))
    kwargs = {key: replacing(value, f"argument {key!r}") for key, value in call.kwargs.items()}
    return replace(call, args=args, kwargs=kwargs)


def lazily(value: Any) -> Any:
    """Return what a call gets that is to have a value when it wants it; it pickles, wherever that goes."""
    from anyjob.standalone import runner

    return SimpleNamespace(load=partial(pickle.loads, runner.dumps(value)))


def results_in(call: Spec) -> list[ResultOf]:
    """Return the references among the arguments of a call, each once; work of other kinds has none."""
    if not isinstance(call, Call):
        return []
    found: dict[int, ResultOf] = {}

    def note(one: ResultOf | OutputPath) -> ResultOf | OutputPath:
        if isinstance(one, ResultOf):
            found[id(one)] = one
        return one

    if holds_handle([call.args, call.kwargs.values()]):
        with_references(call, note)
    return list(found.values())


class _Replacing:
    """Replaces handles, the same by the same, in what is made anew where there are some."""

    def __init__(self, refer: Callable[[Any], Any]) -> None:
        self._refer = refer
        self._made: dict[int, Any] = {}

    def __call__(self, value: Any, where: str) -> Any:
        kind = kind_of_type(type(value))
        if kind == PLAIN:
            return value
        if id(value) in self._made:
            return self._made[id(value)]
        if kind == HANDLE:
            made = self._made[id(value)] = self._refer(value)
            return made
        self._made[id(value)] = value  # for what holds itself
        try:
            made = self._made[id(value)] = self._anew(value, kind, where)
        except RecursionError:
            raise SpecError(f"{where} is nested too deeply for a job to be found in it") from None
        return made

    def _anew(self, value: Any, kind: int, where: str) -> Any:
        if kind == SET:
            if holds_handle([value]):
                raise SpecError(
                    f"{where} has a job in a set: a result need not be hashable, so give a list or a tuple"
                )
            return value
        if kind == SEQUENCE:
            items = [self(one, where) for one in value]
            if all(map(_is, items, value)):
                return value
            if isinstance(value, JobList):
                return items
            make = getattr(value, "_make", None)
            return make(items) if make is not None else type(value)(items)
        if kind == MAPPING:
            if holds_handle([value]):
                raise SpecError(f"{where} has a job as the key of a dict: give its result as a value")
            pairs = {key: self(one, where) for key, one in value.items()}
        else:
            pairs = {name: self(getattr(value, name), where) for name in _fields(value)}
        if all(map(_is, pairs.values(), _values(value, kind))):
            return value
        made = copy.copy(value)
        for key, one in pairs.items():
            if kind == MAPPING:
                made[key] = one
            else:
                _set(made, key, one)
        return made


def kind_of_type(of: type) -> int:
    """Tell what a type is, for who seeks handles."""
    kind = _KINDS.get(of)
    if kind is not None:
        return kind
    if getattr(of, STANDS_FOR_RESULT, False):
        return HANDLE
    if issubclass(of, tuple) and hasattr(of, "_make"):
        return SEQUENCE
    return FIELDS if any(hasattr(of, fields) for fields in _FIELDS) else PLAIN


_FIELDS = ("__dataclass_fields__", "__struct_fields__", "__attrs_attrs__")
_KINDS: dict[type, int] = {
    **dict.fromkeys((int, float, str, bytes, bool, type(None), complex, bytearray), PLAIN),
    list: SEQUENCE,
    JobList: SEQUENCE,
    tuple: SEQUENCE,
    dict: MAPPING,
    OrderedDict: MAPPING,
    defaultdict: MAPPING,
    set: SET,
    frozenset: SET,
}


def _fields(value: Any) -> Iterator[str]:
    """Return the names of the fields that an object has."""
    for attribute in _FIELDS:
        declared = getattr(type(value), attribute, None)
        if declared is not None:
            names = [getattr(one, "name", one) for one in declared]
            return (name for name in names if hasattr(value, name))
    return iter(())


def _values(value: Any, kind: int) -> Iterable[Any]:
    if kind == MAPPING:
        return value.values()  # type: ignore[no-any-return]
    return [getattr(value, name) for name in _fields(value)] if kind == FIELDS else value


def _set(value: Any, name: str, to: Any) -> None:
    """Set a field, frozen or not."""
    if hasattr(type(value), "__struct_fields__"):
        from msgspec.structs import force_setattr

        force_setattr(value, name, to)
    else:
        object.__setattr__(value, name, to)


def _is(one: Any, other: Any) -> bool:
    return one is other
