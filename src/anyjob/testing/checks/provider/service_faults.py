"""A service that is away, that refuses its user, or lacks a machine: what is told, and what is not lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from typing import Any
from unittest import SkipTest

from anyjob.backend import BaseBackend
from anyjob.errors import (
    AnyjobError,
    BackendAuthError,
    BackendNotFoundError,
    BackendUnavailableError,
)
from anyjob.status import JOB_FINAL_STATES
from anyjob.testing.checks.configured import assert_absent
from anyjob.testing.checks.provider.accounts import secrets_of
from anyjob.testing.harness.marks import needs_engine
from anyjob.testing.harness.provider import ProviderHarness, names_of
from anyjob.testing.instrumentation.call_recorder import AttributesChanged

DOWN, REFUSED = "the service was down", "the service refused us"


class ServiceFaults:
    """What a service does not say is not taken for an answer, and each failure has an error of its own."""

    # --- a service that is away -------------------------------------------------------------------

    @needs_engine("down")
    def test_a_service_that_is_away_is_told_by_its_own_error(self, harness: ProviderHarness) -> None:
        """While the service cannot be reached, backends() raises BackendUnavailableError."""
        with harness.engine.down():
            found = _raised_or_returned(harness.provider.backends)
        _assert_is(found, BackendUnavailableError, DOWN, "backends()")

    @needs_engine("down")
    def test_a_service_that_is_away_is_no_missing_backend(self, harness: ProviderHarness) -> None:
        """While the service cannot be reached, get_backend() raises BackendUnavailableError."""
        (name, *_) = names_of(harness.backends())
        with harness.engine.down(), closing(harness.reopen()) as anew:
            found = _raised_or_returned(lambda: anew.provider.get_backend(name))
        _assert_is(found, BackendUnavailableError, DOWN, "get_backend()")

    @needs_engine("down")
    def test_a_service_that_is_back_is_asked_again(self, harness: ProviderHarness) -> None:
        """Once the service is back, the same provider offers what it did."""
        provider, expected = harness.provider, names_of(harness.backends())
        with harness.engine.down(), suppress(AnyjobError):
            provider.backends()
        found = _raised_or_returned(provider.backends)
        offered = names_of(found) if isinstance(found, list) else found
        assert offered == expected, f"the service is back, and backends() gave {offered!r}, not {expected}"

    @needs_engine("down")
    def test_a_service_that_is_away_ends_no_job(self, harness: ProviderHarness) -> None:
        """While the service cannot be reached, no job of it is said to have ended."""
        _assert_ends_no_job(harness, harness.engine.down, DOWN, "the service is back")

    # --- refused credentials ----------------------------------------------------------------------

    @needs_engine("refused")
    def test_refused_credentials_are_told_by_their_own_error(self, harness: ProviderHarness) -> None:
        """While the service refuses its credentials, backends() raises BackendAuthError."""
        with harness.engine.refused():
            found = _raised_or_returned(harness.provider.backends)
        _assert_is(found, BackendAuthError, REFUSED, "backends()")

    @needs_engine("refused")
    def test_refused_credentials_are_not_shown(self, harness: ProviderHarness) -> None:
        """The error of refused credentials does not tell them."""
        secrets = secrets_of(harness)
        with harness.engine.refused():
            found = _raised_or_returned(harness.provider.backends)
        told = f"{found} {found!r} {getattr(found, '__cause__', None)!r}"
        assert_absent(secrets, "the error of refused credentials", told)

    @needs_engine("refused")
    def test_refused_credentials_end_no_job(self, harness: ProviderHarness) -> None:
        """While the service refuses its credentials, no job of it is said to have ended."""
        _assert_ends_no_job(harness, harness.engine.refused, REFUSED, "the credentials are taken again")

    @needs_engine("refused")
    def test_refused_credentials_of_one_account_leave_another(self, harness: ProviderHarness) -> None:
        """While the service refuses one account, another one goes on."""
        harness.backends()
        other = harness.other_provider
        expected = names_of(other.backends())
        with harness.engine.refused():
            found = _raised_or_returned(other.backends)
        offered = names_of(found) if isinstance(found, list) else found
        assert offered == expected, f"the first account was refused, and the other one offers {offered!r}"

    # --- machines that go -------------------------------------------------------------------------

    @needs_engine("without")
    def test_a_backend_that_is_gone_is_not_found(self, harness: ProviderHarness) -> None:
        """A backend that there is no more is not found, which its error names, and the others are."""
        gone, *others = names_of(harness.backends())
        with harness.engine.without(gone), closing(harness.reopen()) as anew:
            left = names_of(anew.provider.backends())
            assert left == others, f"{gone!r} is gone, and backends() gave {left}"
            found = _raised_or_returned(lambda: anew.provider.get_backend(gone))
            _assert_is(found, BackendNotFoundError, f"{gone!r} was gone", "get_backend()")
            assert gone in str(found), f"the error names not what was asked for: {found}"

    @needs_engine("offline")
    def test_a_backend_that_is_offline_is_offered_and_says_so(self, harness: ProviderHarness) -> None:
        """A backend that does not work now is offered all the same, and its status says operational=False."""
        for name in names_of(harness.backends()):
            with harness.engine.offline(name):
                offered = names_of(harness.provider.backends())
                assert name in offered, f"{name!r} is offline, and only {offered} are offered"
                status = harness.provider.get_backend(name).status()
                assert status.operational is False, f"{name!r} is offline, and its status is {status!r}"

    @needs_engine("offline")
    def test_a_backend_that_is_offline_says_why(self, harness: ProviderHarness) -> None:
        """The status of a backend that does not work now has a message for people."""
        for name in names_of(harness.backends()):
            with harness.engine.offline(name):
                status = harness.provider.get_backend(name).status()
                assert status.status_msg.strip(), f"{name!r} is offline, and its status says not why"

    @needs_engine("offline")
    def test_a_backend_that_is_offline_is_not_the_least_busy(self, harness: ProviderHarness) -> None:
        """The least busy backend of a provider is one that works."""
        names = names_of(harness.backends())
        if len(names) < 2:
            raise SkipTest("it offers one backend only: there is no other to be the least busy")
        for name in names:
            with harness.engine.offline(name):
                found = _raised_or_returned(harness.provider.least_busy)
            assert isinstance(found, BaseBackend), f"{name!r} is offline, and least_busy() gave {found!r}"
            assert names_of([found]) != [name], f"{name!r} is offline, and is said to be the least busy"


def _raised_or_returned(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # whatever it raises is what the check looks at
        return error


def _assert_is(found: Any, wanted: type[Exception], when: str, what: str) -> None:
    assert isinstance(found, wanted), f"while {when}, {what} gave {found!r}, and not {wanted.__name__}"


def _assert_ends_no_job(
    harness: ProviderHarness, fault: Callable[[], AbstractContextManager[Any]], when: str, after: str
) -> None:
    for job in harness.jobs_that_run():
        with fault(), AttributesChanged(job.backend(), floor=0.0):
            found = _raised_or_returned(job.status)
        assert found not in JOB_FINAL_STATES, f"{when}, and {job!r} was said to be {found!r}"
        harness.assert_done(job, after)
