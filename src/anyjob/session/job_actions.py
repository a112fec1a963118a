"""What is done to many jobs at once, by one call to each backend: they are cancelled, or run anew."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from anyjob.errors import JobError
from anyjob.ledger.encoding import encode_resources
from anyjob.specs import Resources
from anyjob.taskbackend import TaskBackend

if TYPE_CHECKING:
    from anyjob.session.facade import Session


def cancel(jobs: Iterable[Any]) -> list[bool]:
    """Cancel jobs; say for each whether that was accepted."""

    def of_one_backend(some: list[Any]) -> list[bool]:
        backend = some[0].backend()
        if isinstance(backend, TaskBackend):
            return backend.cancel_many(some)
        return [bool(job.cancel()) for job in some]

    return _by_group(list(jobs), lambda job: id(job.backend()), of_one_backend)


def rerun(session: Session, jobs: Iterable[Any], resources: Mapping[str, Any]) -> list[Any]:
    """Hand over anew what jobs were handed; see `anyjob.rerun`."""

    def like(job: Any) -> Hashable:
        if not hasattr(job, "spec"):
            raise JobError(
                f"{job!r} is a plain job: what it was handed is not known, so it cannot be run anew"
            )
        return id(job.backend()), encode_resources(job._record.resources)

    def anew(some: list[Any]) -> list[Any]:
        old = some[0]._record.resources
        same = {field: getattr(old, field) for field in Resources.__struct_fields__}
        backend = _of_this_host(session, some[0].backend())
        jobs: list[Any] = backend.run_many([job.spec() for job in some], **{**same, **resources})
        return jobs

    return _by_group(list(jobs), like, anew)


def _of_this_host(session: Session, backend: Any) -> Any:
    if not backend.other_host:
        return backend
    configured = backend.name() in session.config.backends
    return session.get_backend(backend.name() if configured else backend.type_name)


def _by_group(
    jobs: list[Any], key: Callable[[Any], Hashable], call: Callable[[list[Any]], list[Any]]
) -> list[Any]:
    """Call with all jobs of one key at a time; return what is said of each, in the order of the jobs."""
    groups: dict[Hashable, list[int]] = {}
    for place, job in enumerate(jobs):
        groups.setdefault(key(job), []).append(place)
    said: dict[int, Any] = {}
    for places in groups.values():
        said.update(zip(places, call([jobs[place] for place in places]), strict=True))
    return [said[place] for place in range(len(jobs))]
