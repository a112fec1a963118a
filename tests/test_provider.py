"""`BaseProvider`: choosing among several backends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.scripted_backends import ScriptedBackend

from anyjob import Config, Registry, Session
from anyjob.backend import BackendConfiguration, BackendStatus
from anyjob.errors import BackendError, BackendNotFoundError, BackendUnavailableError, ConfigError
from anyjob.provider import BaseProvider, ProviderConfiguration, filter_backends


class Device(ScriptedBackend):
    def properties(self) -> Any:
        return ProviderConfiguration("calibration", t1=100 * self.configuration().n_qubits)

    def status(self) -> BackendStatus:
        return BackendStatus(self.name(), operational=self.name() != "broken")


class Account(BaseProvider):
    def backends(
        self, name: str | None = None, filters: Callable[[Any], bool] | None = None, **kwargs: Any
    ) -> list[Any]:
        devices = [
            Device(BackendConfiguration(each, "1", n_qubits=qubits, simulator=each == "sim"), self)
            for each, qubits in (("small", 5), ("large", 127), ("broken", 127), ("sim", 32))
        ]
        return filter_backends([d for d in devices if name in (None, d.name())], filters, **kwargs)


@pytest.fixture
def account() -> Account:
    return Account(ProviderConfiguration("ibm"))


def names(backends: list[Any]) -> list[str]:
    return [str(backend) for backend in backends]


def test_backends_is_abstract() -> None:
    with pytest.raises(TypeError, match="backends"):
        BaseProvider()  # type: ignore[abstract]


def test_backends_are_filtered_by_name_function_and_attributes(account: Account) -> None:
    assert names(account.backends()) == ["small", "large", "broken", "sim"]
    assert names(account.backends("large")) == ["large"]
    assert names(account.backends(filters=lambda b: b.configuration().n_qubits > 30)) == [
        "large", "broken", "sim",
    ]  # fmt: skip
    assert names(account.backends(n_qubits=127)) == ["large", "broken"]  # of the configuration
    assert names(account.backends(t1=500)) == ["small"]  # of the properties
    assert names(account.backends(operational=False)) == ["broken"]  # of the status
    assert names(account.backends(n_qubits=127, operational=True)) == ["large"]
    assert names(account.backends(filters=lambda b: str(b) != "large", n_qubits=127)) == ["broken"]
    assert account.backends(n_qubits=6) == []


def test_all_are_asked_for_their_status_at_once() -> None:
    """As many take as long as the slowest: each waits until all are being asked."""
    together = threading.Barrier(20)

    class Slow(Device):
        def status(self) -> BackendStatus:
            together.wait(30)
            return BackendStatus(self.name(), operational=self.name() != "m7")

    machines = [Slow(BackendConfiguration(f"m{number}", n_qubits=number)) for number in range(20)]
    assert names(filter_backends(machines, operational=False)) == ["m7"]


def test_one_that_does_not_answer_is_left_out_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    class Away(Device):
        def status(self) -> BackendStatus:
            raise BackendUnavailableError("away")

    kinds = (("m0", Device), ("m1", Away), ("m2", Device))
    machines = [kind(BackendConfiguration(name, n_qubits=1)) for name, kind in kinds]
    assert names(filter_backends(machines, operational=True)) == ["m0", "m2"]
    assert [each.getMessage() for each in caplog.records] == [
        "backend m1 cannot be asked for 'operational': away"
    ]
    with pytest.raises(BackendUnavailableError, match="away"):
        filter_backends(machines[1:2], operational=True)


def test_an_unknown_filter_raises(account: Account) -> None:
    with pytest.raises(BackendError, match="unknown filter 'qubits'"):
        account.backends(qubits=5)


def test_get_backend_gives_the_one_that_matches(account: Account) -> None:
    assert account.get_backend("small").name() == "small"
    found = account.get_backend(simulator=True)
    assert found.name() == "sim"
    assert found.provider() is account
    assert repr(found) == "<Device('sim') from ibm>"


def test_get_backend_raises_for_none_and_says_what_was_asked_for(account: Account) -> None:
    says = r"ibm has no backend that matches 'fez', n_qubits=5"
    with pytest.raises(BackendNotFoundError, match=says) as caught:
        account.get_backend("fez", n_qubits=5)
    assert "backends()" not in str(caught.value)
    assert caught.value.__notes__ == ["backends() gives those that it has"]
    with pytest.raises(LookupError):
        account.get_backend("fez")


def test_get_backend_asks_the_account_once() -> None:
    class Counted(Account):
        asked = 0

        def backends(self, *args: Any, **kwargs: Any) -> list[Any]:
            self.asked += 1
            return super().backends(*args, **kwargs)

    counted = Counted()
    with pytest.raises(BackendNotFoundError):
        counted.get_backend("fez")
    assert counted.asked == 1


def test_get_backend_raises_for_several_and_names_them(account: Account) -> None:
    with pytest.raises(BackendNotFoundError, match=r"2 backends that match n_qubits=127 \(broken, large\)"):
        account.get_backend(n_qubits=127)
    with pytest.raises(BackendNotFoundError, match="4 backends that match everything"):
        account.get_backend()


def test_providers_are_equal_by_type_and_values_and_can_be_hashed(account: Account) -> None:
    same, other = Account(ProviderConfiguration("ibm")), Account(ProviderConfiguration("aqt"))
    assert account == same
    assert hash(account) == hash(same)
    assert account != other
    assert len({account, same, other}) == 2
    assert account != "ibm"


def test_what_a_provider_keeps_for_itself_leaves_it_equal() -> None:
    class Old(Account):
        def __init__(self, token: str) -> None:
            super().__init__(token, "hub", "group", url="https://example.org")
            self.cache: list[str] = []

    one, other = Old("a"), Old("b")
    one.cache.append("seen")
    assert one == other
    assert hash(one) == hash(other)
    assert one != Account()
    assert str(one) == "Old"


def test_str_and_repr(account: Account) -> None:
    assert str(account) == "ibm"
    assert repr(account) == "<Account('ibm')>"
    assert str(Account()) == "Account"
    account.close()
    account.close()


def test_from_options_makes_a_configuration_of_them() -> None:
    provider = Account.from_options("ibm", {"url": "https://example.org"})
    assert str(provider) == "ibm"
    assert provider == Account(ProviderConfiguration("ibm", url="https://example.org"))


def test_a_constructor_that_takes_nothing_is_called_with_nothing() -> None:
    class Old(Account):
        def __init__(self) -> None:
            self.mine = True

    provider = Old.from_options("old", {})
    assert provider.mine
    assert str(provider) == "Old"
    assert provider == Old()
    assert names(provider.backends("sim")) == ["sim"]
    with pytest.raises(ConfigError, match=r"provider 'old' \(Old\) takes no options: remove 'token'"):
        Old.from_options("old", {"token": "x"})


class Login(Account):
    def __init__(self, token: str, url: str = "https://example.org", *, verify: bool = True) -> None:
        super().__init__()
        self.login = (token, url, verify)


def test_options_go_to_a_constructor_by_name() -> None:
    assert Login.from_options("lab", {"token": "x"}).login == ("x", "https://example.org", True)
    made = Login.from_options("lab", {"verify": False, "url": "u", "token": "x"})
    assert made.login == ("x", "u", False)


def test_a_constructor_by_name_is_told_what_is_missing_and_what_is_unknown() -> None:
    with pytest.raises(ConfigError, match=r"provider 'lab' \(Login\) needs 'token': its constructor takes"):
        Login.from_options("lab", {})
    with pytest.raises(ConfigError, match="takes no options but 'token', 'url', 'verify': remove 'tokn'"):
        Login.from_options("lab", {"token": "x", "tokn": "y"})


def test_a_constructor_by_name_gets_the_text_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", "hush")
    config = Config.from_dict({"providers": {"lab": {"type": "login", "token": {"env": "LAB_TOKEN"}}}})
    registry = Registry()
    registry.register_provider("login", Login)
    with Session(config=config, registry=registry) as session:
        assert vars(session.get_provider("lab"))["login"][0] == "hush"


def test_a_backend_too_gets_its_options_by_name() -> None:
    class Machine(ScriptedBackend):
        def __init__(self, name: str, token: str, provider: Any = None, **more: Any) -> None:
            super().__init__(BackendConfiguration(name), provider)
            self.token, self.more = token, more

    made = Machine.from_options("fez", {"token": "x", "shots": 5}, "account")
    assert (made.name(), made.token, made.more, made.provider()) == ("fez", "x", {"shots": 5}, "account")
