"""An account: how it is made, its options, and that it shares nothing with another one."""

from __future__ import annotations

from contextlib import closing, suppress
from unittest import SkipTest

from anyjob.config.options import secret_fields
from anyjob.config.secrets import Secret
from anyjob.errors import JobNotFoundError
from anyjob.taskbackend import TaskBackend
from anyjob.testing.checks.configured import (
    assert_absent,
    assert_closed_twice,
    assert_documented,
    assert_made_without_network,
    assert_missing_refused,
    assert_refused,
    given_secret,
    options_type,
    shown_of,
)
from anyjob.testing.harness.provider import ProviderHarness, names_of
from anyjob.testing.harness.session_factory import NAME, OTHER


class Accounts:
    """A provider is what its configuration says, and shares nothing with another one."""

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
        assert_closed_twice(harness.provider)

    def test_to_close_it_closes_no_other(self, harness: ProviderHarness) -> None:
        """A provider goes on when another one of the same options is closed."""
        expected = names_of(harness.backends())
        with closing(harness.reopen()) as other:
            other.backends()
            other.provider.close()
        try:
            found = names_of(harness.provider.backends())
        except Exception as error:
            raise AssertionError(f"when another one was closed, backends() raised {error!r}") from error
        assert found == expected, f"when another one was closed, it offered {found} in place of {expected}"

    def test_it_is_made_without_network(self, harness: ProviderHarness) -> None:
        """To make a provider connects to nothing: a constructor does no network."""
        assert_made_without_network(harness, "provider")

    def test_it_tells_which_account_it_is(self, harness: ProviderHarness) -> None:
        """A provider is called what the configuration calls it, in its str() and its repr()."""
        provider = harness.provider
        assert str(provider) == NAME, f"it is configured as {NAME!r}, and its str() is {str(provider)!r}"
        assert NAME in repr(provider), f"it is configured as {NAME!r}, and its repr() is {provider!r}"

    # --- options ----------------------------------------------------------------------------------

    def test_an_unknown_option_of_it_is_refused(self, harness: ProviderHarness) -> None:
        """An option that a provider has none of is refused, with its name."""
        options_type(harness.provider)
        assert_refused(harness, "provider", "no-such-option", 1)

    def test_a_missing_option_of_it_is_refused(self, harness: ProviderHarness) -> None:
        """An option that a provider must be given and is not is named."""
        assert_missing_refused(harness, "provider")

    def test_each_option_of_it_is_documented(self, harness: ProviderHarness) -> None:
        """Each option of a provider, and of its backends, says what it is for."""
        provider = harness.provider
        for declared in filter(None, (options_type(provider), provider.BackendOptions)):
            assert_documented(declared)

    def test_a_secret_of_it_is_not_shown(self, harness: ProviderHarness) -> None:
        """A secret option is in no str or repr of a provider, of its configuration or of its backends."""
        secrets = secrets_of(harness)
        shown = shown_of(harness.provider)
        for each in harness.backends():
            own = " ".join(shown_of(each).values())
            shown[f"what {each.name()!r} shows"] = f"{own} {each.status()!r}"
        for where, text in shown.items():
            assert_absent(secrets, where, text)

    # --- two accounts -----------------------------------------------------------------------------

    def test_two_accounts_are_told_apart(self, harness: ProviderHarness) -> None:
        """Two accounts are not equal, and each is the provider of its own backends."""
        one, other = harness.provider, harness.other_provider
        assert one != other, f"{one!r} is equal to {other!r}, another account"
        for account, name in ((one, NAME), (other, OTHER)):
            for each in account.backends():
                found = each.provider()
                assert found == account, f"{each!r} comes from {name!r}, and its provider() is {found!r}"

    def test_a_job_of_one_account_is_not_one_of_another(self, harness: ProviderHarness) -> None:
        """A job of one account is not found by another one, neither here nor in the service."""
        other_names = names_of(harness.other_provider.backends())
        tried = False
        for each in harness.backends():
            (name,) = names_of([each])
            if name not in other_names or not isinstance(each, TaskBackend):
                continue
            backend, other = (harness.session.get_backend(f"{of}/{name}") for of in (NAME, OTHER))
            for sample in harness.samples_of(backend):
                tried = True
                job = backend.run(sample.succeeds)
                job.wait_for_final_state(timeout=harness.timeout)
                listed = harness.session.jobs(backend=f"{OTHER}/{name}")
                assert job not in listed, f"a job of {NAME}/{name} is listed as one of {OTHER}/{name}"
                with suppress(JobNotFoundError):
                    found = other.attach(job.native_id())
                    raise AssertionError(f"{OTHER}/{name} gave {found!r}, a job of {NAME}/{name}")
        if not tried:
            raise SkipTest("the two accounts have no backend in common that takes what the kit has")


def secrets_of(harness: ProviderHarness) -> list[Secret]:
    """Return the secrets among the options of the provider; skip the check where there is none."""
    provider = harness.provider
    given = (given_secret(provider.options, path) for path in secret_fields(options_type(provider)))
    found = [secret for secret in given if secret is not None]
    if not found:
        raise SkipTest("none of its options that are given is a Secret")
    return found
