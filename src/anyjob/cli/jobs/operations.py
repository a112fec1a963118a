"""What commands do with jobs of any backend: task backends in bulk, plain ones job by job."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from anyjob.errors import AnyjobError, JobError, SpecError, in_words
from anyjob.ledger.rows import Row
from anyjob.outcome import USAGE, Outcome
from anyjob.resources import Resources
from anyjob.session.facade import Session
from anyjob.specs import Spec
from anyjob.status import as_status
from anyjob.taskbackend import TaskBackend
from anyjob.taskjob import TaskJob


def choose_backend(session: Session, name: str | None, spec: Spec) -> Any:
    """Return the backend of a name; without one, that which a plugin chooses, or the default."""
    import_hook_plugins(session)
    return session.choose_backend(spec) if name is None else session.get_backend(name)


def import_hook_plugins(session: Session) -> None:
    """Import the hook plugins that hear of a submission, while Ctrl-C still ends all: nothing has begun."""
    session.registry.hooks.implements("anyjob_before_submit")


def submit(backend: Any, specs: list[Spec], resources: dict[str, Any]) -> list[Any]:
    """Hand over work, in bulk where the backend knows how to."""
    if isinstance(backend, TaskBackend):
        return (
            [backend.run(specs[0], **resources)] if len(specs) == 1 else backend.run_many(specs, **resources)
        )
    accepted = _accepted_resources(backend, resources)
    return [backend.run(spec, **accepted) for spec in specs]


def _accepted_resources(backend: Any, resources: dict[str, Any]) -> dict[str, Any]:
    """What a plain backend's own ``run`` takes of the resources; only what is a mere label may be dropped.

    Raises:
        SpecError: it takes no such resource.
    """
    parameters = inspect.signature(backend.run).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return resources
    for name in resources:
        if name not in (*parameters, "name", "tags", "options"):
            raise SpecError(f"backend {backend!s} takes no {name!r}: leave it out, or choose another backend")
    return {name: value for name, value in resources.items() if name in parameters}


class SubmittedJobs:
    """The jobs that this process hands to a backend, those whose submission is under way among them.

    Args:
        backend: the backend.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        # Whether they are seen before their submission has returned; of a durable backend, other jobs than
        # ours may become known at any time.
        self.are_seen_early = isinstance(backend, TaskBackend) and not backend.capabilities.durable
        self._before = set(self._known_jobs())
        self.jobs: list[Any] = []

    def _known_jobs(self) -> list[Any]:
        return self._backend.jobs() if self.are_seen_early else []

    def in_engine(self) -> list[Any]:
        """Return those that the engine has, and that have not ended as far as is known."""
        jobs = self.jobs or [job for job in self._known_jobs() if job not in self._before]
        return [job for job in jobs if not isinstance(job, TaskJob) or job.native_id() is not None]


def outcome_of(job: Any) -> Outcome:
    """Return what came of a job that has ended."""
    if isinstance(job, TaskJob):
        return job.outcome()
    outcome = Outcome(status=as_status(job.status()))
    if outcome.status.name == "ERROR":
        outcome.reason = "exception"
        error = failure_of(job)
        outcome.message = f"{type(error).__name__}: {error}" if error is not None else ""
    return outcome


def failure_of(job: Any) -> BaseException | None:
    """Return what the result of a job that has ended raises; None where it raises nothing."""
    if isinstance(job, TaskJob):
        return job.exception()
    try:
        job.result()
    except Exception as error:  # what a plain job raises as its failure may be anything
        return error
    return None


def result_of(job: Any) -> Any:
    """Return the result of a job that is DONE.

    Raises:
        AnyjobError: it cannot be read here: its class is not, or does as it likes when it is unpickled.
    """
    try:
        return job.result()
    except AnyjobError:
        raise
    except Exception as error:
        why = f"job {job.job_id()} is DONE, and its result cannot be read here: {in_words(error)}"
        raise JobError(why) from error


def describe(job: Any, outcome: Outcome, resources: Resources) -> dict[str, Any]:
    """Return an outcome for ``--json``: less what is large or pickled."""
    if isinstance(job, TaskJob):
        resources = job._record.resources  # a plugin may have amended them
    return {
        "job_id": job.job_id(),
        "backend": str(job.backend()),
        "name": resources.name,
        "tags": resources.tags,
        "state": outcome.status.name,
        "reason": outcome.reason,
        "message": outcome.message,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "started": outcome.started,
        "finished": outcome.finished,
        **{name: getattr(outcome, name) for name in USAGE},
        "host": outcome.host,
        "attempt": outcome.attempt,
        "cost": outcome.cost,
        "currency": outcome.currency,
    }


def extend_import_path(session: Session, row: Row) -> None:
    """Have what a job is made of found by its module's name: look where its submitter did, last."""
    context, _, _ = session.ledger.bulk(row.bulk)
    sys.path.extend(entry for entry in context.path if entry not in sys.path)
