"""The kit's checks of providers fail on one that breaks a promise, and pass on one that keeps them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import wrong_providers as wrong
from right_provider import CloudEngine, CloudProvider

from anyjob.provider import BaseProvider
from anyjob.testing import ProviderConformance
from anyjob.testing.checks.provider.accounts import Accounts
from anyjob.testing.checks.provider.offered_work import OfferedWork
from anyjob.testing.checks.provider.offers import Offers
from anyjob.testing.checks.provider.service_faults import ServiceFaults
from anyjob.testing.harness.provider import ProviderHarness
from anyjob.testing.harness.session_factory import OTHER, SessionFactory

CHECKS = (Offers, Accounts, ServiceFaults, OfferedWork)


@pytest.fixture
def options(engine_directory: Path) -> Mapping[str, Any]:
    return {"directory": str(engine_directory), "key": "open-barley"}


@pytest.fixture
def other_options(tmp_path: Path) -> Iterator[Mapping[str, Any]]:
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    yield {"directory": str(directory), "key": "open-wheat"}
    CloudEngine(directory).stop()


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a wrong provider keeps in its class is not what one of an earlier test has kept there."""
    monkeypatch.setattr(wrong.ClosingAll, "is_closed", False)
    monkeypatch.setattr(wrong.OneForAll, "logged_in", None)
    monkeypatch.setattr(wrong.RefusedForAll, "first", None)
    monkeypatch.setattr(wrong.Remembering, "known", None)


@pytest.mark.parametrize(("check", "provider"), wrong.PROVIDERS.items())
def test_a_provider_that_breaks_a_promise_fails_its_check(
    check: str,
    provider: type[BaseProvider],
    options: Mapping[str, Any],
    other_options: Mapping[str, Any],
    engine_directory: Path,
    tmp_path: Path,
) -> None:
    accounts = {OTHER: {"type": "cloud", **other_options}}
    factory = SessionFactory("cloud", provider, options, tmp_path / "state", "providers", accounts)
    harness = ProviderHarness(factory, timeout=10.0, engine=CloudEngine(engine_directory))
    try:
        with pytest.raises(AssertionError) as caught:
            getattr(ProviderConformance(), check)(harness)
        assert "open-barley" not in str(caught.value)
    finally:
        harness.close()


def test_each_check_of_providers_has_a_wrong_one() -> None:
    found = {name for each in CHECKS for name in dir(each) if name.startswith("test_")}
    assert found == set(wrong.PROVIDERS)
    assert len(found) >= 30


class TestCloudConforms(ProviderConformance):
    """All of them, none skipped but that of the listing."""

    provider_class = CloudProvider

    @pytest.fixture
    def options(self, engine_directory: Path) -> Mapping[str, Any]:
        return {"directory": str(engine_directory), "key": "open-barley"}

    @pytest.fixture
    def other_options(self, tmp_path: Path) -> Iterator[Mapping[str, Any]]:
        directory = tmp_path / "elsewhere"
        directory.mkdir()
        yield {"directory": str(directory), "key": "open-wheat"}
        CloudEngine(directory).stop()

    @pytest.fixture
    def engine(self, engine_directory: Path) -> CloudEngine:
        return CloudEngine(engine_directory)


class TestOneThatTellsNothingMoreConforms(ProviderConformance):
    """Without an engine and a second account, what needs them is skipped."""

    provider_class = CloudProvider

    @pytest.fixture
    def options(self, engine_directory: Path) -> Mapping[str, Any]:
        return {"directory": str(engine_directory)}


WRONG: list[tuple[type[Any], str]] = [(provider, check) for check, provider in wrong.PROVIDERS.items()]
"""What is wrong above, and the check that it fails."""
