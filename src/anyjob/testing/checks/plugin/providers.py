"""A provider offers backends, and finds the one that is meant."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

from anyjob.backend import BaseBackend
from anyjob.errors import AnyjobError, BackendNotFoundError
from anyjob.session.facade import Session
from anyjob.taskbackend import TaskBackend
from anyjob.testing.harness.provider import ProviderHarness
from anyjob.testing.harness.samples import ANY, default_samples
from anyjob.testing.harness.session_factory import NAME
from anyjob.testing.instrumentation.audit_events import record_connections


class Providers:
    """A provider offers backends, and finds the one that is meant."""

    def test_it_offers_backends_under_names_of_their_own(self, harness: ProviderHarness) -> None:
        """A provider offers a list of backends, each under another name."""
        found = harness.backends()
        odd = [each for each in found if not isinstance(each, BaseBackend)]
        assert not odd, f"backends() holds {odd[0]!r}, which is no BaseBackend" if odd else ""
        names = [each.name() for each in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        assert not twice, f"several of its backends are called {', '.join(twice)}"

    def test_a_backend_is_found_by_its_name(self, harness: ProviderHarness) -> None:
        """A provider gives the backend of a name, and is the provider of that."""
        provider = harness.provider
        for each in harness.backends():
            name = each.name()
            found = provider.get_backend(name)
            assert found.name() == name, f"get_backend({name!r}) gave {found!r}"
            named = [one.name() for one in provider.backends(name)]
            assert named == [name], f"backends({name!r}) gave {named}"
            origin = found.provider()
            assert origin == provider, f"{name!r} comes from this provider, and its provider() is {origin!r}"

    def test_none_and_several_are_not_found(self, harness: ProviderHarness) -> None:
        """A provider that has none or several of what is asked for says so by BackendNotFoundError."""
        provider, count = harness.provider, len(harness.backends())
        message = _not_found(
            lambda: provider.get_backend("no-such-backend"), "get_backend('no-such-backend')"
        )
        assert "no-such-backend" in message, f"the error does not name what was asked for: {message}"
        if count > 1:
            _not_found(provider.get_backend, f"get_backend(), of {count},")

    def test_filters_choose_among_its_backends(self, harness: ProviderHarness) -> None:
        """A provider takes a function, and the values of attributes, to choose backends by."""
        provider, names = harness.provider, [each.name() for each in harness.backends()]
        none = provider.backends(filters=lambda backend: False)
        assert none == [], f"a filter that takes nothing left {none}"
        for name in names:
            for how, found in (
                ("filters=…", provider.backends(filters=lambda backend, name=name: backend.name() == name)),
                ("backend_name=…", provider.backends(backend_name=name)),
            ):
                left = [each.name() for each in found]
                assert left == [name], f"{how} that takes {name!r} only left {left}"

    def test_an_unknown_filter_is_refused(self, harness: ProviderHarness) -> None:
        """A provider refuses to choose by an attribute that no backend has, and names it."""
        harness.backends()
        try:
            found = harness.provider.backends(no_such_attribute=1)
        except AnyjobError as error:
            assert "no_such_attribute" in str(error), f"the error names not the filter: {error}"
        except Exception as error:
            raise AssertionError(
                f"an unknown filter raised {error!r}, and is to raise BackendError"
            ) from error
        else:
            raise AssertionError(f"an unknown filter was ignored: {found!r}")

    def test_it_equals_one_of_the_same_options(self, harness: ProviderHarness) -> None:
        """Two providers of the same options are equal, hash alike, and equal nothing else."""
        provider, other = harness.provider, harness.reopen()
        try:
            assert provider == other.provider, f"{provider!r} is not equal to one of the same options"
            assert hash(provider) == hash(other.provider), "two that are equal have different hashes"
            assert provider != object(), f"{provider!r} is equal to anything"
        finally:
            other.close()

    def test_it_can_be_closed_twice(self, harness: ProviderHarness) -> None:
        """To close a provider a second time does nothing."""
        provider = harness.provider
        provider.close()
        try:
            provider.close()
        except Exception as error:
            raise AssertionError(f"the second close() raised {type(error).__name__}: {error}") from error

    def test_it_is_made_without_network(self, harness: ProviderHarness) -> None:
        """To make a provider connects to nothing: a constructor does no network."""
        connections = harness.in_other_process(_connections_made)
        assert not connections, f"while it was made it asked the network for {', '.join(connections)}"

    def test_a_session_finds_its_backends(self, harness: ProviderHarness) -> None:
        """A session gives each of its backends by `provider/backend`."""
        for each in harness.backends():
            path = f"{NAME}/{each.name()}"
            try:
                found = harness.session.get_backend(path)
            except AnyjobError as error:
                raise AssertionError(f"a session does not find {path!r}: {error}") from error
            own = found.configuration().backend_name
            assert own == each.configuration().backend_name, f"{path!r} is {own!r} for its provider"
            assert type(found) is type(each), f"{path!r} is a {type(found).__name__}"

    def test_its_backends_work_under_other_names(self, harness: ProviderHarness) -> None:
        """A backend of a provider runs work whatever its user calls it."""
        tried = False
        for each in harness.backends():
            if isinstance(each, TaskBackend):
                tried = _run_as(harness, each.name(), "a-name-of-its-user") or tried
        if not tried:
            raise SkipTest("none of its backends takes what the kit has")

    def test_its_jobs_are_found_again(self, harness: ProviderHarness) -> None:
        """A job of a durable backend of a provider is found again by another session, with its result."""
        tried = False
        for each in harness.backends():
            if isinstance(each, TaskBackend) and each.capabilities.durable:
                tried = _find_again(harness, each.name()) or tried
        if not tried:
            raise SkipTest("none of its backends is durable, and takes what the kit has")


def _not_found(call: Any, what: str) -> str:
    """See that this finds no single backend; return what the error says."""
    try:
        found = call()
    except BackendNotFoundError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"{what} raised {error!r}, not BackendNotFoundError") from error
    raise AssertionError(f"{what} gave {found!r}")


def _connections_made(harness: ProviderHarness) -> list[str]:
    with record_connections() as connections:
        provider = harness.provider
    provider.close()
    return connections


def _run_as(harness: ProviderHarness, own_name: str, name: str) -> bool:
    """Run what there is on a backend that is configured under a name; whether there was anything."""
    tables = {"backends": {name: {"type": f"{NAME}/{own_name}"}}}
    session = harness.session
    with Session(session.config.with_overrides(tables), session.registry, session.state) as other:
        backend = other.get_backend(name)
        assert backend.name() == name, (
            f"{own_name!r} is configured as {name!r}, and called {backend.name()!r}"
        )
        samples = default_samples(backend) if harness.samples is None else harness.samples
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
    samples = default_samples(backend) if harness.samples is None else harness.samples
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
