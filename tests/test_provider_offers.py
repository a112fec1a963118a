"""What providers offer: asked at once, listed, filtered, checked, and the least busy of it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import install, invoke
from support.scripted_backends import FindingBackend

from anyjob import (
    BackendConfiguration,
    BackendError,
    BackendNotFoundError,
    BackendStatus,
    BackendUnavailableError,
    BaseProvider,
    Command,
    Config,
    Registry,
    Session,
    filter_backends,
    least_busy,
    set_default_session,
)
from anyjob.session.providers.offers import AT_ONCE, at_once

MACHINES = (("small", 5, 3), ("large", 27, 1), ("broken", 27, 0), ("silent", 5, None))
"""What each is called, how many qubits it has, and how many jobs wait."""


class Machine(FindingBackend):
    def status(self) -> BackendStatus:
        pending = self.configuration().pending
        if pending is None:
            raise BackendUnavailableError(f"{self.name()} does not answer")
        return BackendStatus(self.name(), "1", self.name() != "broken", pending)


class Account(BaseProvider):
    """Offers machines; ``together`` is passed once all accounts are being asked."""

    asked: list[str] = []
    together: threading.Barrier | None = None
    away: set[str] = set()

    def backends(
        self, name: str | None = None, filters: Callable[[Any], bool] | None = None, **kwargs: Any
    ) -> list[Any]:
        Account.asked.append(str(self))
        if self.together is not None:
            self.together.wait(30)
        if str(self) in self.away:
            raise BackendUnavailableError("the service does not answer")
        machines = [
            Machine(BackendConfiguration(each, "1", qubits=qubits, pending=pending), self)
            for each, qubits, pending in (
                ("small", 5, 3),
                ("large", 27, 1),
                ("broken", 27, 0),
                ("silent", 5, None),
            )
        ]
        return filter_backends([each for each in machines if name in (None, each.name())], filters, **kwargs)


@pytest.fixture(autouse=True)
def _quiet_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("asked", []), ("together", None), ("away", set())):
        monkeypatch.setattr(Account, name, value)


def opened(*accounts: str, **backends: Any) -> Session:
    registry = Registry()
    registry.register_provider("account", Account)
    config = {"providers": {each: {"type": "account"} for each in accounts}, "backends": backends}
    return Session(Config.from_dict(config), registry)


def names(backends: list[Any]) -> list[str]:
    return [each.configured_name for each in backends]


def test_what_providers_offer_is_among_the_backends_when_asked_for() -> None:
    with opened("a", "b", mine={"type": "a/small"}) as session:
        assert "a/large" not in names(session.backends())
        found = names(session.backends(offered=True))
        assert found[0] == "mine"
        assert found[-7:] == ["a/large", "a/broken", "a/silent", "b/small", "b/large", "b/broken", "b/silent"]
        assert "a/small" not in found  # it has a name
        large = session.get_backend("a/large")
        assert large in session.backends(offered=True)
        job = large.run("work")
        assert session.jobs(backend="a/large") == [job]
        assert sorted(Account.asked) == ["a", "a", "b"]  # for its backends, for a/small, for its backends


def test_they_are_asked_at_once() -> None:
    """As many accounts take as long as the slowest: each waits until all are being asked."""
    accounts = [f"account-{number}" for number in range(5)]
    Account.together = threading.Barrier(len(accounts))
    with opened(*accounts) as session:
        assert len(session.offers.backends()) == 4 * len(accounts)
        session.offers.backends()
    assert sorted(Account.asked) == accounts


def test_threads_are_bounded() -> None:
    running, most = set(), 0
    lock, go = threading.Lock(), threading.Event()

    def ask(name: str) -> str:
        nonlocal most
        with lock:
            running.add(name)
            most = max(most, len(running))
            if len(running) == AT_ONCE:
                go.set()
        assert go.wait(30)
        with lock:
            running.discard(name)
        return name

    every = [str(number) for number in range(3 * AT_ONCE)]
    assert at_once(ask, every, 60) == {each: each for each in every}
    assert most == AT_ONCE


def test_what_is_away_is_named_once_and_the_others_are_there(caplog: pytest.LogCaptureFixture) -> None:
    Account.away = {"a"}
    with caplog.at_level(logging.WARNING, "anyjob"), opened("a", "b") as session:
        for _ in range(2):
            assert names(session.offers.backends()) == ["b/small", "b/large", "b/broken", "b/silent"]
    assert [record.getMessage() for record in caplog.records] == [
        "provider a: BackendUnavailableError: the service does not answer"
    ]
    assert sorted(Account.asked) == ["a", "b"]


def test_one_that_hangs_is_given_up() -> None:
    never = threading.Event()
    try:
        answers = at_once(lambda name: never.wait(60) if name == "a" else name, ["a", "b"], 0.2)
        assert (str(answers["a"]), answers["b"]) == ("it has not answered within 0.2 s", "b")
    finally:
        never.set()


def test_attributes_choose_among_them() -> None:
    with opened("a") as session:
        assert names(session.backends(offered=True, qubits=27)) == ["a/large", "a/broken"]
        small = session.backends(lambda each: "/si" not in each.configured_name, offered=True, qubits=5)
        assert names(small) == ["a/small"]
        assert names(session.backends(offered=True, operational=False)) == ["a/broken"]
        with pytest.raises(BackendError, match="unknown filter 'qbits'"):
            session.backends(offered=True, qbits=27)


def test_the_least_busy_is_one_that_works() -> None:
    with opened("a") as session:
        account = session.get_provider("a")
        assert account.least_busy().name() == "large"
        assert account.least_busy(qubits=5).name() == "small"
        assert least_busy(session.backends(offered=True, qubits=27)).configured_name == "a/large"
        with pytest.raises(BackendNotFoundError, match="provider a has no backend that matches and works"):
            account.least_busy(filters=lambda each: each.name() == "broken")
        with pytest.raises(BackendNotFoundError, match="what was asked for has no backend that matches"):
            least_busy([])


# --- on the command line --------------------------------------------------------------------------


@pytest.fixture
def place(import_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    install(
        import_site,
        "acme-account",
        "[anyjob.providers]\naccount = test_provider_offers:Account\nstrict = right_provider:CloudProvider\n",
    )
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    monkeypatch.chdir(tmp_path)
    accounts = '[providers.a]\ntype = "account"\n[providers.b]\ntype = "account"\n'
    Path("anyjob.toml").write_text(f'{accounts}[backends.mine]\ntype = "a/small"\n')
    yield tmp_path
    set_default_session(None)


def told(*arguments: str, code: int = 0) -> Any:
    done = invoke(*arguments, "--json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_all_backends_are_listed(place: Path) -> None:
    assert "a/large" not in [each["name"] for each in told("backends", "list")]
    assert Account.asked == []
    Account.away = {"b"}
    done = invoke("backends", "list", "--all", "--json")
    lines = {each["name"]: each for each in json.loads(done.stdout)}
    assert done.stderr.count("provider b: BackendUnavailableError: the service does not answer") == 1
    assert (lines["a/large"]["distribution"], lines["a/large"]["configured"]) == ("acme-account", False)
    assert lines["a/large"]["origin"] == "its provider"
    assert "a/small" not in lines
    assert "strict" not in done.stderr  # it needs a configuration, and nobody has configured it
    assert [each["name"] for each in told("backends", "list", "--filter", "qubits=27")] == [
        "a/large",
        "a/broken",
    ]
    assert [each["name"] for each in told("backends", "list", "--filter", "qubits=5")] == ["mine", "a/silent"]
    assert "unknown filter 'qbits'" in invoke("backends", "list", "--filter", "qbits=5").stderr


def test_providers_are_listed_and_shown_without_asking_them(place: Path) -> None:
    lines = told("providers", "list")
    assert [(each["name"], each["type"]) for each in lines] == [
        ("a", "account"), ("b", "account"), ("account", "account"), ("strict", "strict"),
    ]  # fmt: skip
    assert [each["configured"] for each in lines] == [True, True, False, False]
    assert lines[0]["distribution"] == "acme-account"
    shown = told("providers", "show", "strict")
    assert [each["name"] for each in shown["options"]] == ["directory", "key", "slots"]
    assert [each["name"] for each in shown["backend_options"]] == ["directory", "slots"]
    text = invoke("providers", "show", "strict").stdout
    assert "strict: type strict, from acme-account 1.0" in text
    assert 'of each backend, in [backends.…] with type = "strict/…"' in text
    assert "no provider is called 'acount'" in invoke("providers", "show", "acount").stderr
    assert Account.asked == []


def test_providers_are_checked(place: Path) -> None:
    Account.away = {"b"}
    found = told("providers", "check", code=1)
    assert [(each["provider"], each["backend"], each["state"], each["pending"]) for each in found] == [
        ("a", "small", "ok", 3),
        ("a", "large", "ok", 1),
        ("a", "broken", "offline", 0),
        ("a", "silent", "failed", None),
        ("b", "", "failed", None),
    ]
    assert (found[3]["message"], found[4]["message"]) == (
        "silent does not answer", "the service does not answer",
    )  # fmt: skip
    assert "silent does not answer" in invoke("providers", "check", "a").stdout
    (line,) = told("providers", "check", "strict", code=1)
    assert "directory: is missing" in line["message"]
    Path("anyjob.toml").write_text("")
    set_default_session(None)
    assert "no provider is configured" in invoke("providers", "check").stdout


def test_the_default_may_be_offered(place: Path) -> None:
    Path("anyjob.toml").write_text('default_backend = "a/large"\n[providers.a]\ntype = "account"\n')
    (default,) = [each for each in told("backends", "list") if each["default"]]
    assert default["name"] == "a/large"
    with Session(Config.load(), Registry()) as session:
        assert session.get_backend().configured_name == "a/large"
        assert session.get_backend("threads").run(Command(["true"])).result(30).exit_code == 0
