"""An account: how it is made, its options, and that it shares nothing with another one."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any
from unittest import SkipTest

from anyjob.config.options import describe, secret_fields
from anyjob.config.secrets import Secret
from anyjob.errors import ConfigError, JobNotFoundError
from anyjob.taskbackend import TaskBackend
from anyjob.testing.harness.provider import ProviderHarness, names_of
from anyjob.testing.harness.session_factory import NAME, OTHER
from anyjob.testing.instrumentation.audit_events import record_connections


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
        provider = harness.provider
        provider.close()
        try:
            provider.close()
        except Exception as error:
            raise AssertionError(f"the second close() raised {type(error).__name__}: {error}") from error

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
        connections = harness.in_other_process(_connections_made)
        assert not connections, f"while it was made it asked the network for {', '.join(connections)}"

    def test_it_tells_which_account_it_is(self, harness: ProviderHarness) -> None:
        """A provider is called what the configuration calls it, in its str() and its repr()."""
        provider = harness.provider
        assert str(provider) == NAME, f"it is configured as {NAME!r}, and its str() is {str(provider)!r}"
        assert NAME in repr(provider), f"it is configured as {NAME!r}, and its repr() is {provider!r}"

    # --- options ----------------------------------------------------------------------------------

    def test_an_unknown_option_of_it_is_refused(self, harness: ProviderHarness) -> None:
        """An option that a provider has none of is refused, with its name."""
        _options_type(harness)
        _assert_refused(harness, "no-such-option", 1)

    def test_a_missing_option_of_it_is_refused(self, harness: ProviderHarness) -> None:
        """An option that a provider must be given and is not is named."""
        required = [each.name for each in describe(_options_type(harness)) if each.required]
        if not required:
            raise SkipTest("no option of it must be given")
        for name in required:
            _assert_refused(harness, name, None)

    def test_each_option_of_it_is_documented(self, harness: ProviderHarness) -> None:
        """Each option of a provider, and of its backends, says what it is for."""
        for declared in filter(None, (_options_type(harness), harness.provider.BackendOptions)):
            bare = [each.name for each in describe(declared) if not each.doc]
            assert not bare, (
                f"{declared.__name__} says not what these are for: {', '.join(bare)}; write "
                'Annotated[…, msgspec.Meta(description="…")], or a section Args: in its docstring'
            )

    def test_a_secret_of_it_is_not_shown(self, harness: ProviderHarness) -> None:
        """A secret option is in no str or repr of a provider, of its configuration or of its backends."""
        secrets = secrets_of(harness)
        provider = harness.provider
        shown = {
            "its str()": str(provider),
            "its repr()": repr(provider),
            "its configuration()": f"{provider.configuration()!r} {_vars(provider.configuration())}",
            "its options": repr(provider.options),
        }
        for each in harness.backends():
            own = each.configuration()
            shown[f"what {each.name()!r} shows"] = f"{each} {each!r} {own!r} {_vars(own)} {each.status()!r}"
        for where, text in shown.items():
            _assert_absent(secrets, where, text)

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


def _connections_made(harness: ProviderHarness) -> list[str]:
    with record_connections() as connections:
        provider = harness.provider
    provider.close()
    return connections


def _options_type(harness: ProviderHarness) -> Any:
    declared = getattr(type(harness.provider), "Options", None)
    if declared is None:
        raise SkipTest(f"{type(harness.provider).__name__} declares no Options: it takes any")
    return declared


def _assert_refused(harness: ProviderHarness, name: str, value: Any) -> None:
    """Make the provider with this option wrong (None: without it)."""
    change = f"without {name!r}" if value is None else f"with {name} = {value!r}"
    with closing(harness.with_options(**{name: value})) as wrong:
        try:
            made = wrong.provider
        except ConfigError as error:
            assert name in str(error), f"{change} the error names not the option: {error}"
            return
        except Exception as error:
            raise AssertionError(
                f"{change} it raised {type(error).__name__}, not ConfigError: {error}"
            ) from error
    raise AssertionError(f"{change} the provider was made: {made!r}")


def secrets_of(harness: ProviderHarness) -> list[Secret]:
    """Return the secrets among the options of the provider; skip the check where there is none."""
    options, found = harness.provider.options, []
    for path in secret_fields(_options_type(harness)):
        value = options
        for key in path.split("."):
            value = getattr(value, key, None)
        found += [value] if isinstance(value, Secret) else []
    if not found:
        raise SkipTest("none of its options that are given is a Secret")
    return found


def _vars(value: Any) -> str:
    return repr(getattr(value, "__dict__", {}))


def _assert_absent(secrets: list[Secret], where: str, text: str) -> None:
    __tracebackhide__ = True  # pytest would show what is looked at, and explain an assert by it
    for secret in secrets:
        if secret.get() in text:
            raise AssertionError(f"{where} holds the text of a secret option")
