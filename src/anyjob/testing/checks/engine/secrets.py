"""Secrets of a backend's options are seen by its engine, and nowhere else."""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import SkipTest

from anyjob.config.options import secret_fields
from anyjob.config.secrets import Secret
from anyjob.errors import AnyjobError, ConfigError
from anyjob.specs import Command
from anyjob.testing.checks.configured import assert_absent, given_secret, shown_of
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.samples import can_run
from anyjob.testing.harness.session_factory import NAME


class Secrets:
    """No text that anyjob or the backend makes holds a secret."""

    def test_a_secret_is_not_shown_by_the_backend(self, harness: BackendHarness) -> None:
        """A secret option is in no str, repr or status of the backend, nor in `anyjob backends show`."""
        from anyjob.cli.backends.description import describe_backend

        with _with_secrets(harness) as (secretive, secrets):
            backend = secretive.backend
            shown = {
                **shown_of(backend),
                "its status()": repr(_value_or_error(backend.status)),
                "its properties()": repr(_value_or_error(backend.properties)),
                "`anyjob backends show`": json.dumps(describe_backend(secretive.session, NAME), default=repr),
            }
            for where, text in shown.items():
                assert_absent(secrets, where, text)

    def test_a_secret_is_not_in_errors(self, harness: BackendHarness) -> None:
        """A secret option is in no error, whether of the configuration or of work that fails."""
        with _with_secrets(harness) as (secretive, secrets):
            assert_absent(secrets, "the error for an unknown option", _chain(_error_of_typo(secretive)))
            for sample in secretive.samples:
                for work in filter(None, (sample.succeeds, sample.fails)):
                    assert_absent(
                        secrets, f"the error of work of kind {sample.kind}", _chain(_run(secretive, work))
                    )

    def test_a_secret_is_not_in_handles(self, harness: BackendHarness) -> None:
        """A secret option is not in the repr, the metadata or the pickle of a job."""
        with _with_secrets(harness) as (secretive, secrets):
            for sample in secretive.samples:
                job = _submit(secretive, sample.succeeds)
                if job is None:
                    continue
                try:
                    pickled = pickle.dumps(job)
                except Exception as error:
                    raise AssertionError(f"a job of it cannot be pickled: {error!r}") from error
                assert_absent(secrets, "the repr() of a job", repr(job))
                assert_absent(secrets, "the metadata() of a job", repr(job.metadata()))
                assert_absent(secrets, "the pickle of a job", pickled)

    def test_a_secret_is_not_in_files(self, harness: BackendHarness) -> None:
        """A secret option is in none of the files that are kept of a job, while it runs and after."""
        with _with_secrets(harness) as (secretive, secrets):
            for sample in secretive.samples:
                slow = sample.slow(0.3) if sample.slow is not None else None
                for work in filter(None, (sample.succeeds, sample.fails, slow)):
                    job = _submit(secretive, work)
                    _assert_not_in_files(secretive.session.services.ledger.state, secrets)
                    _failure(secretive, job)
                    _assert_not_in_files(secretive.session.services.ledger.state, secrets)

    def test_a_secret_is_not_in_the_environment_of_work(self, harness: BackendHarness) -> None:
        """A secret option is not among the variables that work is given."""
        with _with_secrets(harness) as (secretive, secrets):
            if not can_run(secretive.backend, "command") or not secretive.backend.capabilities.logs:
                raise SkipTest("it runs no programs whose output can be read")
            job = _submit(secretive, Command(["env"]))
            if _failure(secretive, job) is None and job is not None:
                assert_absent(
                    secrets, "the environment of a program", job.result(secretive.timeout).stdout.bytes()
                )

    def test_a_secret_is_not_logged(self, harness: BackendHarness) -> None:
        """A secret option is in no message that is logged, however much is asked for."""
        with _logged() as messages, _with_secrets(harness) as (secretive, secrets):
            for sample in secretive.samples:
                _run(secretive, sample.succeeds)
                _run(secretive, sample.fails or sample.succeeds)
            secretive.backend.close()
            for name, text in messages:
                assert_absent(secrets, f"a message of the logger {name}", text)


@contextmanager
def _with_secrets(harness: BackendHarness) -> Iterator[tuple[BackendHarness, list[Secret]]]:
    """Give the backend all secrets that it takes, as text in its configuration; and what they are."""
    declared = getattr(type(harness.backend), "Options", None)
    names = sorted(secret_fields(declared)) if declared is not None else []
    if not names:
        raise SkipTest("no option of it is a Secret")
    secrets = {}
    for name in names:
        given = given_secret(harness.backend.options, name)  # the engine may want just this one
        secrets[name] = (given and given.get()) or f"sesame-{name.replace('.', '-')}-opens-all-doors"
    secretive = harness.with_options(**_nested(harness, secrets))
    try:
        # What is in the environment of this process goes to jobs, and is nobody's fault.
        yield secretive, [Secret(text) for text in secrets.values() if text not in os.environ.values()]
    finally:
        secretive.close()


def _nested(harness: BackendHarness, secrets: dict[str, str]) -> dict[str, Any]:
    """Options that hold these texts, those with dots in tables."""
    options = dict(harness.factory.options) if harness.factory is not None else {}
    for name, text in secrets.items():
        table = options
        *tables, key = name.split(".")
        for each in tables:
            table[each] = dict(table.get(each, {}))
            table = table[each]
        table[key] = text
    return options


def _submit(harness: BackendHarness, work: Any) -> Any:
    """The job; None where the engine will not have it with secrets that we have made up."""
    try:
        return harness.run(work)
    except AnyjobError:
        return None


def _failure(harness: BackendHarness, job: Any) -> BaseException | None:
    """Wait for the end of a job; return what it failed with."""
    if job is None:
        return None
    try:
        error: BaseException | None = job.exception(harness.timeout)
    except AnyjobError as raised:
        return raised
    return error


def _run(harness: BackendHarness, work: Any) -> BaseException | None:
    try:
        job = harness.run(work)
    except AnyjobError as error:
        return error
    return _failure(harness, job)


def _value_or_error(call: Any) -> Any:
    try:
        return call()
    except AnyjobError as error:
        return _chain(error)


def _error_of_typo(harness: BackendHarness) -> BaseException | None:
    wrong = harness.with_options(**{"no-such-option": 1})
    try:
        wrong.backend.close()
    except ConfigError as error:
        return error
    finally:
        wrong.close()
    return None


def _chain(error: BaseException | None) -> str:
    """All that is told of an error: what caused it, too."""
    parts: list[str] = []
    while error is not None and len(parts) < 20:
        parts.append(f"{error!r} {error} {vars(error)!r}")
        error = error.__cause__ or error.__context__
    return "\n".join(parts)


def _assert_not_in_files(directory: Path, secrets: list[Secret]) -> None:
    __tracebackhide__ = True
    for path in sorted(directory.rglob("*")):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except OSError:
            continue  # it is gone meanwhile
        assert_absent(secrets, f"the file {path.relative_to(directory)} of the state directory", content)


@contextmanager
def _logged() -> Iterator[list[tuple[str, str]]]:
    """Collect all that is logged inside."""
    messages: list[tuple[str, str]] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append((record.name, self.format(record)))

    root, collector = logging.getLogger(), Collector(logging.DEBUG)
    level = root.level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    try:
        yield messages
    finally:
        root.setLevel(level)
        root.removeHandler(collector)
