"""Work on what a provider offers, and jobs that somebody has handed to the service without us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from unittest import SkipTest

from anyjob.errors import AnyjobError, JobNotFoundError
from anyjob.session.facade import Session
from anyjob.status import JobStatus
from anyjob.taskbackend import TaskBackend
from anyjob.testing.harness.marks import needs_engine
from anyjob.testing.harness.provider import ProviderHarness
from anyjob.testing.harness.samples import ANY
from anyjob.testing.harness.session_factory import NAME


class OfferedWork:
    """A backend of a provider runs work as any other, whoever has handed it over."""

    def test_its_backends_work_under_other_names(self, harness: ProviderHarness) -> None:
        """A backend of a provider runs work whatever its user calls it."""
        tried = False
        for each in harness.backends():
            if isinstance(each, TaskBackend):
                tried = _run_as(harness, each.configuration().backend_name, "a-name-of-its-user") or tried
        if not tried:
            raise SkipTest("none of its backends takes what the kit has")

    def test_its_jobs_are_found_again(self, harness: ProviderHarness) -> None:
        """A job of a durable backend of a provider is found again by another session, with its result."""
        tried = False
        for each in harness.backends():
            if isinstance(each, TaskBackend) and each.capabilities.durable:
                tried = _find_again(harness, each.configuration().backend_name) or tried
        if not tried:
            raise SkipTest("none of its backends is durable, and takes what the kit has")

    def test_what_it_gives_itself_is_called_as_its_account(self, harness: ProviderHarness) -> None:
        """A job of a backend that a provider itself gives is one of `provider/backend` for all."""
        tried = False
        for each in harness.backends():
            if not isinstance(each, TaskBackend) or not each.capabilities.durable:
                continue
            path = f"{NAME}/{each.configuration().backend_name}"
            assert each.name() == path, f"backends() gave {path!r}, and it is called {each.name()!r}"
            for sample in harness.samples_of(each)[:1]:
                tried = True
                job = each.run(sample.succeeds)
                with closing(harness.reopen()) as other:
                    found = other.session.jobs(backend=path)
                    assert job in found, f"{job!r} of {path!r} is not listed as one by another session"
                    harness.assert_done(found[found.index(job)], "a job of what backends() gave")
        if not tried:
            raise SkipTest("none of its backends is durable, and takes what the kit has")

    def test_what_is_charged_has_a_unit(self, harness: ProviderHarness) -> None:
        """What a job has cost is no less than nothing, and says in which currency."""
        told = False
        for job in _ended(harness):
            outcome = job.outcome(harness.timeout)
            if outcome.cost is None:
                continue
            told = True
            assert outcome.cost >= 0, f"{job!r} has cost {outcome.cost}"
            assert outcome.currency, f"{job!r} has cost {outcome.cost}, and nobody says of what"
        if not told:
            raise SkipTest("none of its backends tells what a job has cost")

    @needs_engine("submit_elsewhere")
    def test_a_job_that_was_submitted_elsewhere_is_attached(self, harness: ProviderHarness) -> None:
        """A job that was submitted without us is attached by its id in the service, and ends as there."""
        for backend in harness.task_backends():
            native_id = harness.engine.submit_elsewhere(backend.configuration().backend_name)
            job = _attached(backend, native_id)
            outcome = job.outcome(harness.timeout)
            assert outcome.status is JobStatus.DONE, (
                f"{native_id!r} has succeeded, and {job!r} says {outcome!r}"
            )

    @needs_engine("submit_elsewhere")
    def test_an_attached_job_is_found_again(self, harness: ProviderHarness) -> None:
        """A job that was attached is found again by another session, by our id and by that of the service."""
        for backend in harness.task_backends():
            if not backend.capabilities.durable:
                continue
            native_id = harness.engine.submit_elsewhere(backend.configuration().backend_name)
            job = _attached(backend, native_id)
            with closing(harness.reopen()) as other:
                for asked in (job.job_id(), native_id):
                    try:
                        found = other.session.get_job(asked)
                    except JobNotFoundError as error:
                        raise AssertionError(f"an attached job is not found again: {error}") from error
                    assert found == job, f"asked for {asked!r}, another session found {found!r}"
                    harness.assert_done(found, "an attached job, found again")

    @needs_engine("submit_elsewhere")
    def test_an_id_that_the_service_does_not_know_is_not_attached(self, harness: ProviderHarness) -> None:
        """To attach to what the service does not know raises JobNotFoundError, which names it."""
        for backend in harness.task_backends():
            try:
                found = backend.attach("no-such-job")
            except JobNotFoundError as error:
                assert "no-such-job" in str(error), f"the error names not what was asked for: {error}"
            except Exception as error:
                raise AssertionError(f"attach() raised {error!r}, not JobNotFoundError") from error
            else:
                raise AssertionError(f"attach() of a job that there is none of gave {found!r}")


def _attached(backend: Any, native_id: str) -> Any:
    try:
        return backend.attach(native_id)
    except AnyjobError as error:
        raise AssertionError(
            f"{native_id!r} was submitted to {backend!r} without us, and attach() raised {error!r}"
        ) from error


def _ended(harness: ProviderHarness) -> Iterator[Any]:
    """Yield a job of each task backend and sample, once it has ended."""
    for backend in harness.task_backends():
        for sample in harness.samples_of(backend):
            job = backend.run(sample.succeeds)
            harness.assert_done(job, "work that succeeds")
            yield job


def _run_as(harness: ProviderHarness, own_name: str, name: str) -> bool:
    """Run what there is on a backend that is configured under a name; whether there was anything."""
    tables = {"backends": {name: {"type": f"{NAME}/{own_name}"}}}
    session = harness.session
    with Session(session.config.with_overrides(tables), session.registry, session.state) as other:
        backend = other.get_backend(name)
        assert backend.name() == name, (
            f"{own_name!r} is configured as {name!r}, and called {backend.name()!r}"
        )
        samples = harness.samples_of(backend)
        for sample in samples:
            try:
                backend.run(sample.succeeds).result(harness.timeout)
            except AnyjobError as error:
                raise AssertionError(
                    f"{own_name!r}, configured as {name!r}, runs nothing: {error}"
                ) from error
    return bool(samples)


def _find_again(harness: ProviderHarness, name: str) -> bool:
    """Run what there is on a backend, and find it again; whether there was anything."""
    backend = harness.session.get_backend(f"{NAME}/{name}")
    samples = harness.samples_of(backend)
    for sample in samples:
        job = backend.run(sample.succeeds)
        job.wait_for_final_state(timeout=harness.timeout)
        other = harness.reopen()
        try:
            found = other.session.get_job(job.job_id())
            assert found.backend().name() == backend.name(), (
                f"a job of {name!r} was found on {found.backend()!r}"
            )
            assert found.done(), f"a job of {name!r} was found again as {found!r}"
            value = found.result(harness.timeout)
            assert sample.value is ANY or value == sample.value, f"it was found again with {value!r}"
        except AnyjobError as error:
            raise AssertionError(f"a job of {name!r} is not found again: {error}") from error
        finally:
            other.close()
    return bool(samples)
