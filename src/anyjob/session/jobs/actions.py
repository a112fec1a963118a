"""What is done to many jobs at once, by one call to each backend: they are cancelled, or run anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from anyjob import _typing as t
from anyjob.errors import BackendUnavailableError, JobError, UnsupportedSpecError
from anyjob.execution.submit_directory import submitting_from
from anyjob.ledger.encoding import encode_resources
from anyjob.resources import Resources, make_resources
from anyjob.runtime.job_control import control_in_words
from anyjob.runtime.run_keywords import take_results
from anyjob.runtime.submission.submit import submit
from anyjob.runtime.submission.take_back import take_back
from anyjob.session.backends.missing_backends import DeferredBackend
from anyjob.session.jobs.downstream import Order, followers
from anyjob.session.jobs.failures import Failures
from anyjob.status import JOB_FINAL_STATES, JobStatus, as_status
from anyjob.taskbackend import TaskBackend
from anyjob.tracking.waits.given_jobs import jobs_in

if TYPE_CHECKING:
    from anyjob.ledger.store import Ledger


def cancel(jobs: Iterable[Any], *, downstream: bool = True) -> list[bool]:
    """Cancel jobs; say for each whether that was accepted. What one backend raises keeps no other from it."""
    failures = Failures("not cancelled")

    def of_one_backend(some: list[Any]) -> list[bool]:
        backend = some[0].backend()
        who = id(backend), str(backend)
        if isinstance(backend, TaskBackend):
            call = partial(backend.cancel_many, downstream=downstream)
            return failures.attempt(*who, call, some) or [False] * len(some)
        return [bool(failures.attempt(*who, _cancel_plain, job)) for job in some]

    answers = _by_group(jobs_in(jobs), lambda job: id(job.backend()), of_one_backend)
    failures.raise_first()
    return answers


def control(action: str, jobs: Iterable[Any], value: int | None = None) -> list[bool]:
    """Hold, release, pause or resume jobs, or give them a priority; say for each whether that was done."""

    def of_one_backend(some: list[Any]) -> list[bool]:
        backend = some[0].backend()
        if isinstance(backend, DeferredBackend):
            backend = backend.real()
        if not isinstance(backend, TaskBackend):
            raise UnsupportedSpecError(f"backend {str(backend)!r} cannot {control_in_words(action, 'jobs')}")
        return backend.control_many(action, some, value)

    return _by_group(jobs_in(jobs), lambda job: id(job.backend()), of_one_backend)


def _cancel_plain(job: Any) -> bool:
    """Cancel a plain job; one whose ``cancel()`` says nothing is asked where it is."""
    answer = job.cancel()
    if answer is not None:
        return bool(answer)
    try:
        status = as_status(job.status(), job)
    except BackendUnavailableError:
        return True  # the cancel itself came through
    return status is JobStatus.CANCELLED or status not in JOB_FINAL_STATES


def rerun(
    session: t.Session, jobs: Iterable[Any], resources: Mapping[str, Any], *, downstream: bool = False
) -> list[Any]:
    """Hand over anew what jobs were handed; see `anyjob.rerun`."""

    def like(job: Any) -> Hashable:
        if not hasattr(job, "spec"):
            raise JobError(
                f"{job!r} is a plain job: what it was handed is not known, so it cannot be run anew"
            )
        return id(job.backend()), directories.get(job.job_id())

    def from_there(job: Any) -> AbstractContextManager[None]:
        directory = directories.get(job.job_id())
        return submitting_from(directory) if directory else nullcontext()

    def read(some: list[Any]) -> list[Any]:
        with from_there(some[0]):
            return [job.spec() for job in some]

    def with_changes(old: Resources) -> Resources:
        encoded = encode_resources(old)
        if encoded not in known_resources:
            known_resources[encoded] = replace(old, **{name: getattr(changed, name) for name in resources})
        return known_resources[encoded]

    def anew(some: list[Any]) -> list[Any]:
        backend = _to_run_anew(session, some[0].backend())
        originals = [job.job_id() for job in some]
        wanted = [with_changes(job._record.resources) for job in some]
        values = [parameters.get(ours, {}) for ours in originals]
        with from_there(some[0]):
            specs_anew = [order.anew(specs[ours]) for ours in originals]
            work, after = take_results(backend, specs_anew, [order.after(ours) for ours in originals])
            handed.append(submit(backend, work, wanted, rerun_of=originals, parameters=values, after=after))
        return handed[-1]

    changed = make_resources(dict(resources))
    known_resources: dict[bytes, Resources] = {}  # those that are the same are shared
    jobs, ledger = jobs_in(jobs), session.ledger
    if downstream:
        jobs = with_downstream(session, jobs)
    ids = [job.job_id() for job in jobs]
    order = Order(ledger, ids)
    directories = _directories(ledger, ids)
    known = ledger.summaries(ids) if ledger.exists else {}
    parameters = {job_id: summary.parameters for job_id, summary in known.items()}
    specs = dict(zip(ids, _by_group(jobs, like, read), strict=True))  # what cannot be read, before any is run
    handed: list[list[Any]] = []
    try:
        if not order.matters:
            return _by_group(jobs, like, anew)
        known_as = dict(zip(ids, jobs, strict=True))
        made: dict[str, Any] = {}
        for step in order.steps():
            for ours, job in zip(step, _by_group([known_as[one] for one in step], like, anew), strict=True):
                made[ours] = job
                order.run_anew(ours, job.job_id())
        return [made[ours] for ours in ids]
    except BaseException as error:  # nobody gets the handles of those before it
        for others in handed:
            take_back(others[0].backend(), {job.job_id(): job._record for job in others}, error)
        raise


def with_downstream(session: t.Session, jobs: Iterable[Any]) -> list[Any]:
    """Return these jobs, and those that have started after these, or never did for what came of these."""
    jobs = list(jobs)
    ids = [job.job_id() for job in jobs]
    behind = followers(session.ledger, ids) if session.ledger.exists else []
    return [*jobs, *(session.get_job(ours) for ours in behind if ours not in ids)]


def _directories(ledger: Ledger, job_ids: Sequence[str]) -> dict[str, str]:
    """Return for each job of the ledger the directory that it was submitted from."""
    rows = ledger.rows(job_ids) if ledger.exists else {}
    of_bulk = {bulk: os.fsdecode(ledger.bulk(bulk)[0].cwd) for bulk in {row.bulk for row in rows.values()}}
    return {job_id: of_bulk[row.bulk] for job_id, row in rows.items()}


def _to_run_anew(session: t.Session, backend: Any) -> Any:
    if isinstance(backend, DeferredBackend):
        return backend.real()
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
