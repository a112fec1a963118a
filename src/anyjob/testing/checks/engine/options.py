"""How a backend is made: what it takes of its configuration, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from unittest import SkipTest

import msgspec

from anyjob.config.options import describe, validate_options
from anyjob.config.secrets import from_config
from anyjob.errors import AnyjobError, ConfigError
from anyjob.testing.checks.configured import (
    assert_closed_twice,
    assert_documented,
    assert_made_without_network,
    assert_missing_refused,
    assert_refused,
    options_type,
)
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import live
from anyjob.text.suggestions import nearest

CANDIDATES: tuple[Any, ...] = ({"no": ["such"]}, [{"thing": 1}], 2.5, "no such text", True)
"""Values, of which most options take none."""


class Construction:
    """A backend is what its configuration says, and is made of nothing else."""

    @live
    def test_it_has_the_name_that_it_was_configured_with(self, harness: BackendHarness) -> None:
        """A backend is called what the configuration calls it, wherever its name is shown."""
        backend, name = harness.backend, harness.name
        _skip_where_offered(harness, "which names it")
        names = {
            "name()": backend.name(),
            "str()": str(backend),
            "configuration().backend_name": backend.configuration().backend_name,
            "status().backend_name": backend.status().backend_name,
        }
        for where, found in names.items():
            assert found == name, f"the backend is configured as {name!r}, and its {where} is {found!r}"
        shown = repr(backend)
        assert type(backend).__name__ in shown and name in shown, f"its repr() tells not what it is: {shown}"

    @live
    def test_it_says_which_version_it_is_and_how_it_is(self, harness: BackendHarness) -> None:
        """A backend tells its version and its status in the forms that programs rely on."""
        backend = harness.backend
        version = backend.version()
        assert isinstance(version, str), f"version() is {version!r}, which is no text"
        status = backend.status()
        for field, kind in (("backend_version", str), ("operational", bool), ("status_msg", str)):
            found = getattr(status, field, None)
            assert isinstance(found, kind), f"status().{field} is {found!r}, which is no {kind.__name__}"
        pending = getattr(status, "pending_jobs", None)
        assert isinstance(pending, int) and pending >= 0, f"status().pending_jobs is {pending!r}"

    def test_from_options_hands_on_name_version_and_provider(self, harness: BackendHarness) -> None:
        """A backend that is made by from_options has the name, the version and the provider given there."""
        _skip_where_offered(harness, "which makes it")
        found, options = type(harness.backend), _options_of(harness)
        provider = _Provider()
        made = found.from_options("another", {**options, "backend_version": "1.2.3"}, provider)
        try:
            assert made.name() == "another", f"it is called {made.name()!r}, not 'another'"
            version = made.configuration().backend_version
            assert version == "1.2.3", f"its configuration().backend_version is {version!r}, not '1.2.3'"
            assert made.provider() is provider, f"its provider() is {made.provider()!r}, not the one given"
        finally:
            made.close()

    def test_it_can_be_closed_twice(self, harness: BackendHarness) -> None:
        """To close a backend a second time does nothing."""
        with closing(harness.reopen()) as other:
            assert_closed_twice(other.backend)

    def test_it_is_made_without_network(self, harness: BackendHarness) -> None:
        """To make a backend connects to nothing: a constructor does no network."""
        _skip_where_offered(harness, "which may have to be asked for it")
        assert_made_without_network(harness, "backend")


class OptionValidation:
    """The options of a backend are documented, and checked when it is made."""

    def test_an_unknown_option_is_refused_with_the_nearest(self, harness: BackendHarness) -> None:
        """An option that there is none of is refused, with its name and the nearest one that there is."""
        fields = [each.name for each in describe(options_type(harness.backend))]
        if not fields:
            assert_refused(harness, "backend", "no-such-option", 1)
            return
        typo = f"{fields[0]}x"
        message = assert_refused(harness, "backend", typo, 1)
        near = nearest(typo, fields)
        assert near is None or near in message, f"the error names not the nearest, {near!r}: {message}"

    def test_an_option_of_the_wrong_type_is_refused(self, harness: BackendHarness) -> None:
        """An option of the wrong type is refused, with its name."""
        wrong = list(_wrong_values(harness))
        if not wrong:
            raise SkipTest("no option of it has a type that refuses anything")
        for name, value in wrong:
            assert_refused(harness, "backend", name, value)

    def test_a_missing_option_is_refused(self, harness: BackendHarness) -> None:
        """An option that must be given and is not is named when the backend is made."""
        assert_missing_refused(harness, "backend")

    def test_each_option_is_documented(self, harness: BackendHarness) -> None:
        """Each option says what it is for."""
        assert_documented(options_type(harness.backend))

    def test_options_for_another_engine_are_ignored(self, harness: BackendHarness) -> None:
        """What a job is told for another type of engine changes nothing: the same call runs anywhere."""
        options_type(harness.backend)
        for sample in harness.samples:
            try:
                job = harness.run(sample.succeeds, options={"another-engine": {"queue": "x"}})
            except AnyjobError as error:
                raise AssertionError(f"{sample.kind}: options of another engine raised {error!r}") from error
            harness.assert_done(job, f"{sample.kind}: with options of another engine, work that succeeds")

    def test_an_unknown_option_of_a_job_is_refused(self, harness: BackendHarness) -> None:
        """What a job is told for this type of engine is refused where the engine has no such option."""
        backend = harness.backend
        options_type(harness.backend)
        options = {backend.type_name.partition("/")[0]: {"no-such-option": 1}}
        for sample in harness.samples:
            try:
                job = harness.run(sample.succeeds, options=options)
            except AnyjobError as error:
                assert "no-such-option" in str(error), f"the error names not the option: {error}"
            else:
                raise AssertionError(f"{sample.kind}: options={options!r} was taken ({job!r})")


class _Provider:
    """Stands for whatever a backend comes from."""

    def __str__(self) -> str:
        return "a provider"


def _skip_where_offered(harness: BackendHarness, why: str) -> None:
    if harness.backend.provider() is not None:
        raise SkipTest(f"it comes from a provider, {why}")


def _options_of(harness: BackendHarness) -> dict[str, Any]:
    """What `from_options` of the backend is given by a session."""
    options = dict(harness.factory.options) if harness.factory is not None else {}
    return options if hasattr(type(harness.backend), "Options") else from_config(options)


def _wrong_values(harness: BackendHarness) -> Iterator[tuple[str, Any]]:
    """For each option a value that its type refuses, where it refuses any."""
    declared, options = options_type(harness.backend), _options_of(harness)
    for field in msgspec.structs.fields(declared):
        for value in CANDIDATES:
            try:
                validate_options(declared, {**options, field.encode_name: value}, skip={"backend_version"})
            except ConfigError:
                yield field.encode_name, value
                break
