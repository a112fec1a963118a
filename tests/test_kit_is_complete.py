"""The conformance kit itself: each check has a wrong thing that fails it, and none is left out in silence."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from right_backend import RightBackend

import anyjob.testing
from anyjob.testing import BackendConformance, BackendHarness, TaskBackendConformance
from anyjob.testing.conformance import Conformance

KIT = [getattr(anyjob.testing, name) for name in anyjob.testing.__all__ if name.endswith("Conformance")]
HERE = Path(__file__).parent


def checks_of(kit: type[Any]) -> Iterator[tuple[type[Any], str]]:
    """Each check of a class of the kit, with the class that it is written in."""
    for base in kit.__mro__:
        for name in vars(base):
            if name.startswith("test_"):
                yield base, name


def tables() -> Iterator[tuple[str, list[tuple[type[Any], str]]]]:
    """The tables of wrong things, with the checks that they are to fail."""
    for path in sorted([*HERE.glob("test_kit_*.py"), *HERE.glob("wrong_*.py")]):
        if "\nWRONG: list[tuple[type" in path.read_text():
            yield path.stem, importlib.import_module(path.stem).WRONG


@pytest.mark.parametrize("kit", KIT)
def test_every_check_has_something_wrong_that_fails_it(kit: type[Any]) -> None:
    named = {name for _, table in tables() for _, name in table}
    without = [f"{base.__name__}.{name}" for base, name in checks_of(kit) if name not in named]
    assert not without, "no table WRONG in tests/ names these checks"


def test_every_wrong_thing_names_a_check_that_there_is() -> None:
    known = {name for kit in KIT for _, name in checks_of(kit)}
    unknown = [(table, name) for table, wrong in tables() for _, name in wrong if name not in known]
    assert not unknown


@pytest.mark.parametrize("kit", KIT)
def test_no_check_hides_another_of_its_name(kit: type[Any]) -> None:
    names = Counter(name for _, name in checks_of(kit))
    assert names, f"{kit.__name__} checks nothing"
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("kit", KIT)
def test_every_check_states_its_promise_in_one_sentence(kit: type[Any]) -> None:
    """It is what a report shows of it."""
    for base, name in checks_of(kit):
        promise = (vars(base)[name].__doc__ or "").strip()
        assert promise.endswith("."), f"{base.__name__}.{name} states no promise"
        assert "\n" not in promise, f"{base.__name__}.{name} states more than one sentence: {promise}"


def test_some_checks_are_short_and_safe_enough_for_a_real_engine() -> None:
    live = [name for base, name in checks_of(TaskBackendConformance) if hasattr(vars(base)[name], "is_live")]
    assert len(live) >= 6


# --- who overrides a check says why ---------------------------------------------------------------


def test_a_check_cannot_be_left_out_in_silence() -> None:
    with pytest.raises(
        TypeError, match=r"test_work_that_fails_is_an_error overrides.*mark it @pytest.mark.xfail"
    ):

        class Silent(TaskBackendConformance):
            def test_work_that_fails_is_an_error(self, harness: BackendHarness) -> None:
                pass


def test_a_check_cannot_be_taken_away_by_what_is_no_function() -> None:
    with pytest.raises(TypeError, match="overrides a test of the conformance kit"):
        type("Silent", (BackendConformance,), {"test_work_that_fails_is_an_error": None})


def test_an_xfail_without_a_reason_says_nothing() -> None:
    with pytest.raises(TypeError, match="reason="):

        class Mumbling(TaskBackendConformance):
            @pytest.mark.xfail(reason=" ")
            def test_work_that_fails_is_an_error(self, harness: BackendHarness) -> None:
                pass


def test_a_check_is_overridden_with_a_reason_and_others_are_added() -> None:
    class Honest(TaskBackendConformance):
        backend_class = RightBackend

        @pytest.mark.xfail(reason="the engine has no exit codes")
        def test_work_that_fails_is_an_error(self, harness: BackendHarness) -> None:
            pass

        def test_of_its_own(self) -> None:
            pass

    assert issubclass(Honest, Conformance)


def test_neither_can_a_class_between_take_it_away() -> None:
    class Between(TaskBackendConformance):
        backend_class = RightBackend

    with pytest.raises(TypeError, match="overrides a test of the conformance kit"):
        type("Silent", (Between,), {"test_work_that_fails_is_an_error": None})


def test_nor_a_mixin_that_comes_first() -> None:
    class Skips:
        def test_work_that_fails_is_an_error(self, harness: BackendHarness) -> None:
            pass

    with pytest.raises(TypeError, match="overrides a test of the conformance kit"):
        type("Silent", (Skips, TaskBackendConformance), {})
