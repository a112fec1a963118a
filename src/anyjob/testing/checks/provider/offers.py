"""A provider offers backends, and finds the one that is meant."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from anyjob.backend import BaseBackend
from anyjob.errors import AnyjobError, BackendNotFoundError
from anyjob.testing.harness.provider import ProviderHarness, names_of
from anyjob.testing.harness.session_factory import NAME

THREADS = 8
"""Threads that ask at the same time."""


class Offers:
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
        for name in names_of(harness.backends()):
            found = provider.get_backend(name)
            assert names_of([found]) == [name], f"get_backend({name!r}) gave {found!r}"
            named = names_of(provider.backends(name))
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
        provider, names = harness.provider, names_of(harness.backends())
        none = provider.backends(filters=lambda backend: False)
        assert none == [], f"a filter that takes nothing left {none}"
        for name in names:
            for how, found in (
                ("filters=…", provider.backends(filters=lambda each, name=name: names_of([each]) == [name])),
                ("backend_name=…", provider.backends(backend_name=name)),
            ):
                left = names_of(found)
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

    def test_it_offers_the_same_each_time(self, harness: ProviderHarness) -> None:
        """A provider that is asked twice offers the same, in the same order."""
        first, second = names_of(harness.backends()), names_of(harness.backends())
        assert first == second, f"backends() gave {first}, and then {second}"

    def test_its_backends_can_be_named(self, harness: ProviderHarness) -> None:
        """A backend of a provider has a name that can be written behind the provider's and a slash."""
        for each in harness.backends():
            name = each.configuration().backend_name
            assert isinstance(name, str), f"backend_name is {name!r}, which is no text"
            can_be = name.isprintable() and "/" not in name and name == name.strip() != ""
            assert can_be, f"{name!r} cannot be written as {NAME}/…: leave out '/', and blanks at its ends"

    def test_names_and_filters_both_count(self, harness: ProviderHarness) -> None:
        """A provider that is asked for a name and by a filter gives what fits both."""
        provider = harness.provider
        for name in names_of(harness.backends()):
            for how, found in (
                ("a filter that takes nothing", provider.backends(name, filters=lambda backend: False)),
                ("another backend_name", provider.backends(name, backend_name="no-such-backend")),
            ):
                assert found == [], f"backends({name!r}) with {how} gave {found!r}"

    def test_its_backends_say_how_they_are(self, harness: ProviderHarness) -> None:
        """Each backend of a provider has a status in the form that programs rely on."""
        fields = (("operational", bool), ("pending_jobs", int), ("status_msg", str), ("backend_version", str))
        for each in harness.backends():
            status = each.status()
            for field, kind in fields:
                found = getattr(status, field, None)
                assert isinstance(found, kind), (
                    f"{each.name()!r}: status().{field} is {found!r}, which is no {kind.__name__}"
                )
            assert status.pending_jobs >= 0, f"{each.name()!r}: {status.pending_jobs} jobs are pending"

    def test_how_backends_are_chooses_among_them(self, harness: ProviderHarness) -> None:
        """A provider takes what its backends' status says to choose by: each is operational or not."""
        provider, every = harness.provider, names_of(harness.backends())
        working, others = (names_of(provider.backends(operational=value)) for value in (True, False))
        both = sorted([*working, *others])
        assert both == sorted(every), (
            f"operational=True gave {working} and operational=False {others}, of {every}"
        )

    def test_threads_may_ask_at_once(self, harness: ProviderHarness) -> None:
        """A provider answers several threads at the same time."""
        provider, expected = harness.provider, names_of(harness.backends())
        together = threading.Barrier(THREADS)

        def ask(_: int) -> list[str]:
            together.wait(harness.timeout)
            return names_of(provider.backends())

        with ThreadPoolExecutor(THREADS) as pool:
            asked = [pool.submit(ask, number) for number in range(THREADS)]
        for each in asked:
            error = each.exception()
            assert error is None, f"asked by {THREADS} threads at once, it raised {error!r}"
            assert each.result() == expected, f"asked by {THREADS} threads at once, it gave {each.result()}"

    def test_a_session_finds_its_backends(self, harness: ProviderHarness) -> None:
        """A session gives each of its backends by `provider/backend`."""
        for each in harness.backends():
            path = f"{NAME}/{each.configuration().backend_name}"
            try:
                found = harness.session.get_backend(path)
            except AnyjobError as error:
                raise AssertionError(f"a session does not find {path!r}: {error}") from error
            own = found.configuration().backend_name
            assert own == each.configuration().backend_name, f"{path!r} is {own!r} for its provider"
            assert type(found) is type(each), f"{path!r} is a {type(found).__name__}"


def _not_found(call: Any, what: str) -> str:
    """See that this finds no single backend; return what the error says."""
    try:
        found = call()
    except BackendNotFoundError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"{what} raised {error!r}, not BackendNotFoundError") from error
    raise AssertionError(f"{what} gave {found!r}")
