"""Secrets: read at the last moment, and shown nowhere."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anyjob.config.secrets import Secret, from_config, is_reference
from anyjob.errors import ConfigError, SecretError

TEXT = "s3cr3t-t0k3n"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TEXT + "\n")
    path.chmod(0o600)
    return path


def test_a_literal_is_its_text() -> None:
    assert Secret(TEXT).get() == TEXT


def test_a_variable_is_read_at_use(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret({"env": "SOME_TOKEN"})
    monkeypatch.setenv("SOME_TOKEN", TEXT)
    assert secret.get() == TEXT


def test_a_file_is_read_without_its_last_line_end(secret_file: Path) -> None:
    assert Secret({"file": str(secret_file)}).get() == TEXT


def test_a_file_may_be_in_the_home(secret_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(secret_file.parent))
    assert Secret({"file": "~/token"}).get() == TEXT


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_draws_a_warning(secret_file: Path, mode: int) -> None:
    secret_file.chmod(mode)
    with pytest.warns(UserWarning, match="can be read by other users: chmod 600") as caught:
        assert Secret({"file": str(secret_file)}).get() == TEXT
    assert caught[0].filename == __file__


@pytest.fixture
def keyring_answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, str], str | None]], None]:
    keyring = pytest.importorskip("keyring")

    def answers(answer: Callable[[str, str], str | None]) -> None:
        monkeypatch.setattr(keyring, "get_password", answer)

    return answers


def test_a_keyring_entry_is_read(keyring_answers: Any) -> None:
    keyring_answers(lambda service, user: f"{service}|{user}")
    assert Secret({"keyring": "https://host/api/me"}).get() == "https://host/api|me"


def test_a_missing_keyring_entry_says_how_to_make_it(keyring_answers: Any) -> None:
    keyring_answers(lambda service, user: None)
    with pytest.raises(SecretError, match=r"'service/me' .* keyring set service me"):
        Secret({"keyring": "service/me"}).get()


def test_a_broken_keyring_is_told(keyring_answers: Any) -> None:
    errors = pytest.importorskip("keyring.errors")

    def locked(service: str, user: str) -> str:
        raise errors.KeyringLocked("locked up")

    keyring_answers(locked)
    with pytest.raises(SecretError, match="cannot be read: locked up"):
        Secret({"keyring": "service/me"}).get()


def test_without_the_keyring_package_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretError, match=r"pip install 'anyjob\[keyring\]'"):
        Secret({"keyring": "service/me"}).get()


def test_what_is_missing_is_named_with_where_it_was_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_TOKEN", raising=False)
    with pytest.raises(
        SecretError, match=r"variable 'NO_TOKEN' \(anyjob.toml:3: providers.x.token\) is not set"
    ):
        Secret({"env": "NO_TOKEN"}, "anyjob.toml:3: providers.x.token").get()
    monkeypatch.setenv("NO_TOKEN", "")
    with pytest.raises(SecretError, match="'NO_TOKEN' is empty"):
        Secret({"env": "NO_TOKEN"}).get()
    with pytest.raises(SecretError, match="none' cannot be read: No such file"):
        Secret({"file": str(tmp_path / "none")}).get()
    with pytest.raises(SecretError, match="cannot be read: Is a directory"):
        Secret({"file": str(tmp_path)}).get()


def test_a_file_that_is_no_text_does_not_leak(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_bytes(TEXT.encode() + b"\xff")
    with pytest.raises(SecretError, match="is not UTF-8 text") as caught:
        Secret({"file": str(path)}).get()
    assert caught.value.__context__ is None


@pytest.mark.parametrize("value", [TEXT, {"env": "TOKEN_VARIABLE"}])
def test_the_text_is_never_shown(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_VARIABLE", TEXT)
    secret = Secret(value)
    secret.get()
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>80}",
        f"{secret!a}",
        f"{[secret]}",
    ]
    shown += [repr(secret.reference()), repr(dir(secret)), repr(getattr(secret, "__dict__", None))]
    assert not any(TEXT in text for text in shown)


def test_a_reference_pickles_as_itself() -> None:
    secret = Secret({"env": "TOKEN"}, "here")
    again = pickle.loads(pickle.dumps(secret))
    assert again == secret
    assert again.reference() == {"env": "TOKEN"}


def test_a_literal_refuses_to_be_pickled() -> None:
    with pytest.raises(SecretError, match="is not pickled") as caught:
        pickle.dumps({"token": Secret(TEXT)})
    assert TEXT not in str(caught.value)


def test_copies_are_the_same() -> None:
    secret = Secret(TEXT)
    assert copy.deepcopy({"token": secret})["token"] is secret
    assert copy.copy(secret) is secret


def test_equal_by_reference() -> None:
    assert Secret({"env": "A"}, "here") == Secret({"env": "A"}, "there")
    assert (
        len({Secret({"env": "A"}), Secret({"env": "A"}), Secret({"env": "B"}), Secret({"keyring": "A/b"})})
        == 3
    )
    assert Secret("A") != Secret({"env": "A"})
    assert Secret("A") != Secret("B")
    assert Secret("A") != "A"


def test_a_reference_does_not_tell_a_literal() -> None:
    assert Secret(TEXT).reference() == {"literal": "***"}
    assert Secret({"file": "/a"}).reference() == {"file": "/a"}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (7, "expected a string, or a table"),
        ({"env": "A", "file": "/b"}, "expected a string, or a table"),
        ({"vault": "A"}, "expected a string, or a table"),
        ({"env": 7}, "expected a string, or a table"),
        ({}, "expected a string, or a table"),
        ("", "is empty"),
        ({"env": ""}, "is empty"),
        ({"keyring": "service"}, "'service/user'"),
        ({"keyring": "/user"}, "'service/user'"),
        ({"file": "token.txt"}, "absolute path"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(value: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=f"anyjob.toml: token: .*{why}"):
        Secret(value, "anyjob.toml: token")


def test_without_options_tables_that_say_where_become_secrets() -> None:
    values = from_config(
        {
            "token": {"env": "A"},
            "deep": {"list": [{"file": "/b"}, 3], "plain": {"env": "A", "other": 1}},
            "text": "env",
            "number": {"env": 3},
        }
    )
    assert values == {
        "token": Secret({"env": "A"}),
        "deep": {"list": [Secret({"file": "/b"}), 3], "plain": {"env": "A", "other": 1}},
        "text": "env",
        "number": {"env": 3},
    }


def test_without_options_errors_name_the_place() -> None:
    with pytest.raises(ConfigError, match=r"f.toml: backends.x.deep.token: file"):
        from_config({"deep": {"token": {"file": "a"}}}, lambda key: f"f.toml: backends.x.{key}")


def test_a_secret_given_a_secret_keeps_what_it_knows() -> None:
    assert Secret(Secret({"env": "A"})) == Secret({"env": "A"})
    assert is_reference({"env": "A"})
    assert not is_reference({"env": "A", "file": "B"})
