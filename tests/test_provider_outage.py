"""Jobs of an account whose service is away, or whose machine is gone, when a later process asks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from right_provider import CloudEngine, CloudProvider
from support.cli_program import install, invoke

from anyjob import BackendError, BackendUnavailableError, Command, Config, JobStatus, Registry, Session

CONFIG = """
[backends.m1]
type = "lab/machine-1"

[providers.lab]
type = "cloud"
directory = "{directory}"
{more}
"""
SECRET = 'key = "s3cret"'
HELLO = ["sh", "-c", "echo hello"]


@pytest.fixture(params=["", SECRET], ids=["made-of-the-ledger", "made-as-configured"])
def service(
    engine_directory: Path,
    import_site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> CloudEngine:
    """An account, installed as a plugin and configured; with a secret, the ledger does not tell of it."""
    install(import_site, "acme-cloud", "[anyjob.providers]\ncloud = right_provider:CloudProvider\n")
    monkeypatch.setattr("anyjob.cli.context._registry", None)
    place = tmp_path / "place"
    place.mkdir()
    (place / "anyjob.toml").write_text(CONFIG.format(directory=engine_directory, more=request.param))
    monkeypatch.chdir(place)
    return CloudEngine(engine_directory)


def opened() -> Session:
    return Session(Config.load(), Registry())


def handed_over(*argv: str) -> str:
    """Hand a job to the service by a session that ends; return its id."""
    with opened() as session:
        job_id: str = session.get_backend("m1").run(Command(list(argv) or HELLO), name="fit").job_id()
        return job_id


@pytest.fixture
def back_soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The account does not get through the next few times; gives what is left of these."""
    left = ["away"] * 5

    def check(self: CloudProvider) -> None:
        if left:
            left.pop()
            raise BackendUnavailableError(f"the service of {self} does not answer")

    monkeypatch.setattr(CloudProvider, "check", check)
    yield left
    assert not left


def test_a_wait_that_begins_while_the_service_is_away_ends_with_the_job(
    service: CloudEngine, request: pytest.FixtureRequest
) -> None:
    job_id = handed_over()
    request.getfixturevalue("back_soon")
    with opened() as later:
        job = later.get_job(job_id)
        with pytest.raises(BackendUnavailableError, match=r"'m1', of type 'cloud/machine-1', cannot be reac"):
            job.status()
        assert job.result(timeout=30).stdout.text() == "hello\n"
        assert list(job.logs()) == ["hello\n"]
        assert job.backend().capabilities.find
        (anew,) = later.rerun([job])
        assert anew.backend() is later.get_backend("m1")
        assert anew.result(timeout=30).stdout.text() == "hello\n"


@pytest.mark.parametrize("command", [["wait"], ["result"], ["logs", "-f"]], ids=" ".join)
def test_the_command_line_waits_for_a_service_that_is_away(
    service: CloudEngine, request: pytest.FixtureRequest, command: list[str]
) -> None:
    handed_over()
    request.getfixturevalue("back_soon")
    done = invoke(*command, "fit")
    assert done.exit_code == 0, done.output
    assert ("hello" in done.stdout) is (command != ["wait"])


def test_while_it_is_away_it_is_said_so(service: CloudEngine, caplog: pytest.LogCaptureFixture) -> None:
    job_id = handed_over("sleep", "60")
    with opened() as session:
        directory = session.get_backend("m1").job_directory(job_id)
    directory.rename(directory.with_suffix(".elsewhere"))
    with service.down():
        for command in ("cancel", "logs"):
            done = invoke(command, "fit")
            assert done.exit_code == 125, done.output
            assert "'m1', of type 'cloud/machine-1', cannot be reached now: the service of lab" in done.stderr
        with opened() as later, caplog.at_level(logging.WARNING, "anyjob"):
            job = later.get_job(job_id)
            with pytest.raises(TimeoutError):
                job.result(timeout=0.3)
            with pytest.raises(BackendUnavailableError):
                later.rerun([job])
    assert invoke("cancel", "fit").exit_code == 0


def test_a_result_that_is_known_is_had_while_the_service_is_away(service: CloudEngine) -> None:
    job_id = handed_over()
    with opened() as session:
        session.get_job(job_id).wait_for_final_state(timeout=30)
    with service.down(), opened() as later:
        assert later.get_job(job_id).result(timeout=30).stdout.text() == "hello\n"


def test_a_machine_that_is_gone_ends_the_wait_in_words(service: CloudEngine) -> None:
    job_id = handed_over("sleep", "60")
    with service.without("machine-1"):
        for command in ("wait", "cancel", "result"):
            done = invoke(command, "fit")
            assert done.exit_code == 125, done.output
            assert "'m1', of type 'cloud/machine-1', cannot be made, so nobody can" in done.stderr
            assert "until account 'lab' has it again" in done.stderr
    with opened() as later:
        assert later.get_job(job_id).cancel()


def test_a_machine_that_is_gone_when_the_service_is_back(
    service: CloudEngine, request: pytest.FixtureRequest
) -> None:
    job_id = handed_over("sleep", "60")
    with service.without("machine-1"):
        request.getfixturevalue("back_soon")
        with opened() as later:
            job: Any = later.get_job(job_id)
            with pytest.raises(BackendError, match="cannot be made, so nobody can ask about its jobs"):
                job.wait_for_final_state(timeout=30)
            assert job._record.status is not JobStatus.DONE
    with opened() as later:
        assert later.get_job(job_id).cancel()
