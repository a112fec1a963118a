"""The fixtures that the tests of plugins use: `anyjob.testing.fixtures`, which pytest finds by itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.scripted_backends import ScriptedEngine, ScriptedJob

import anyjob
from anyjob import Call, Command, JobStatus, JobTimeoutError, Session
from anyjob.errors import BlockedPluginError, UnknownNameError
from anyjob.testing.environment.fake_clock import FakeClock
from anyjob.testing.environment.isolated_environment import isolated
from anyjob.testing.environment.isolated_registry import IsolatedRegistry
from anyjob.testing.environment.leftover_processes import leftovers

Cli = Callable[..., subprocess.CompletedProcess[str]]
HOUR = 3600.0
CALL = Call(len, ("x",))
MODULE = "from anyjob import BaseBackend\n\n\nclass Backend(BaseBackend):\n    def run(self): ...\n"


def pytest_on(directory: Path, test: str, *arguments: str) -> str:
    """Run pytest on a test of somebody else's; return what it prints."""
    (directory / "test_theirs.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, str(directory)],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout + done.stderr


# --- the plugin -----------------------------------------------------------------------------------


def test_the_fixtures_are_there_without_being_imported(tmp_path: Path) -> None:
    printed = pytest_on(tmp_path, "def test_it(anyjob_session):\n    anyjob_session.get_backend('inline')\n")
    assert "1 passed" in printed, printed


def test_pytest_can_do_without_them(tmp_path: Path) -> None:
    printed = pytest_on(tmp_path, "def test_it(fake_clock):\n    pass\n", "-p", "no:anyjob")
    assert "fixture 'fake_clock' not found" in printed, printed


SKIPS = """
import pytest
from anyjob.testing import TaskBackendConformance


class TestThreads(TaskBackendConformance):
    backend_type = "threads"


class TestNowhere(TestThreads):
    @pytest.fixture
    def engine(self):
        pytest.skip("there is no engine")
"""


def test_what_the_kit_skips_is_told_with_the_name_of_its_check(tmp_path: Path) -> None:
    check = "test_a_rejected_job_is_raised_by_run"
    printed = pytest_on(tmp_path, SKIPS, "-rs", "-k", check)
    place = r"SKIPPED \[1\] \S+/anyjob/testing/checks/job/failures.py:\d+"
    for reason in (r"the fixture `engine` gives nothing with reject_next\(\)", "there is no engine"):
        assert re.search(rf"{place}: {check}: {reason}\n", printed), printed


def test_a_test_that_does_not_ask_for_them_pays_next_to_nothing(tmp_path: Path) -> None:
    test = (
        "import os, sys\n\n\ndef test_it():\n"
        "    assert os.environ['ANYJOB_BACKEND'] == 'mine'\n"
        "    assert not [name for name in sys.modules if name.startswith('anyjob.')\n"
        "                and name not in ('anyjob.testing', 'anyjob.testing.fixtures')]\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANYJOB_BACKEND", "mine")
        printed = pytest_on(tmp_path, test)
    assert "1 passed" in printed, printed


# --- the environment ------------------------------------------------------------------------------


@pytest.fixture
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYJOB_BACKEND", "mine")


@pytest.mark.usefixtures("_settings")
def test_settings_are_hidden(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    home = request.getfixturevalue("anyjob_environment")
    monkeypatch.setenv("ANYJOB_KEPT", "x")
    assert "ANYJOB_BACKEND" not in os.environ
    with isolated(home, keep=["ANYJOB_KEPT"]):
        assert [name for name in os.environ if name.startswith("ANYJOB_")] == ["ANYJOB_KEPT"]
    assert Path(os.environ["XDG_CONFIG_HOME"]).parent == home
    assert anyjob.get_backend().name() == "local"


def test_variables_that_were_added_once_are_only_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Native threads of an engine may read them meanwhile: Ray's ended the tests in getenv."""
    monkeypatch.delenv("XDG_STATE_HOME")
    with isolated(tmp_path):
        assert os.environ["XDG_STATE_HOME"]
    assert os.environ["XDG_STATE_HOME"] == ""


def test_settings_come_back_and_what_runs_is_ended(tmp_path: Path) -> None:
    test = (
        "import os\nimport anyjob\nimport pytest\n\n\n"
        "def test_1(anyjob_environment, monkeypatch):\n"
        "    command = anyjob.Command(['sh', '-c', 'echo here; exec sleep 600'])\n"
        "    job = anyjob.get_backend('local').run(command)\n"
        "    next(job.logs(follow=True))\n"
        "    assert str(job.backend().services.ledger.state).startswith(str(anyjob_environment))\n\n\n"
        "def test_2():\n"
        "    assert os.environ['ANYJOB_BACKEND'] == 'mine'\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANYJOB_BACKEND", "mine")
        printed = pytest_on(tmp_path, test, f"--basetemp={tmp_path}/base")
    assert "2 passed" in printed, printed
    assert leftovers(tmp_path) == []


# --- the session ----------------------------------------------------------------------------------


class TestTheSession:
    @pytest.fixture
    def anyjob_config(self) -> dict[str, Any]:
        return {"backends": {"mine": {"type": "threads", "slots": 1}}}

    def test_it_is_configured_by_the_test_and_has_its_own_state(
        self, anyjob_session: Session, anyjob_environment: Path
    ) -> None:
        backend = anyjob_session.get_backend("mine")
        assert backend.options.slots == 1
        assert backend.run(CALL).result(HOUR) == 1
        assert anyjob_session.services.ledger.state == anyjob_environment / "state"
        assert "local" in anyjob_session.backend_names()


def test_sessions_are_closed_at_the_end(tmp_path: Path) -> None:
    test = (
        "made = []\n\n\n"
        "def test_1(anyjob_session):\n"
        "    made.append(anyjob_session.get_backend('local'))\n\n\n"
        "def test_2(anyjob_open):\n"
        "    made.extend(anyjob_open({}).get_backend('local') for _ in range(2))\n\n\n"
        "def test_3():\n"
        "    assert len(set(made)) == 3\n"
        "    assert all(backend._tracker._watcher.closed for backend in made)\n"
    )
    printed = pytest_on(tmp_path, test)
    assert "3 passed" in printed, printed


def test_sessions_of_one_test_find_the_jobs_of_each_other(
    anyjob_open: Callable[[Mapping[str, Any]], Session],
) -> None:
    config = {"backends": {"mine": {"type": "local", "slots": 1}}}
    first, second = anyjob_open(config), anyjob_open(config)
    job_id = first.get_backend("mine").run(CALL).job_id()
    assert second.get_job(job_id).result(HOUR) == 1


def test_a_backend_is_made_of_its_options_and_finds_the_jobs_of_another(
    anyjob_backend: Callable[..., Any],
) -> None:
    first, second = anyjob_backend("local", slots=3), anyjob_backend("local", slots=3)
    assert first is not second
    assert (first.name(), first.options.slots) == ("local", 3)
    job_id = first.run(CALL).job_id()
    assert second.retrieve_job(job_id).result(HOUR) == 1


def test_the_session_sees_what_the_isolated_registry_has(
    isolated_registry: IsolatedRegistry, anyjob_session: Session
) -> None:
    assert anyjob_session.registry is isolated_registry


# --- the registry ---------------------------------------------------------------------------------


def test_the_isolated_registry_has_anyjobs_own_names_only(isolated_registry: IsolatedRegistry) -> None:
    assert isolated_registry.names("anyjob.backends") == ["batch", "inline", "local", "processes", "threads"]
    assert isolated_registry.names("anyjob.job_types") == ["command", "python"]
    assert {line.state for line in isolated_registry.listing()} == {"ok"}


def test_the_isolated_registry_hides_what_is_installed(
    isolated_registry: IsolatedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs-1.0.dist-info"
    theirs.mkdir()
    (theirs / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (theirs / "entry_points.txt").write_text("[anyjob.backends]\ntheirs = theirs:Backend\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "theirs" in anyjob.Registry().names("anyjob.backends")
    with pytest.raises(UnknownNameError):
        isolated_registry.backend("theirs")


def test_what_is_installed_into_it_is_found_and_can_be_imported_elsewhere(
    isolated_registry: IsolatedRegistry, anyjob_cli: Cli
) -> None:
    groups = {"anyjob.api": {"v1": "anyjob_acme"}, "anyjob.backends": {"acme": "anyjob_acme:Backend"}}
    isolated_registry.install(
        "anyjob-acme", "2.0", entry_points=groups, modules={"anyjob_acme.py": MODULE}, requires=["anyjob<9"]
    )
    assert isolated_registry.backend("acme").__module__ == "anyjob_acme"
    (line,) = [line for line in isolated_registry.listing("anyjob.backends") if line.name == "acme"]
    assert (line.distribution, line.version, line.api) == ("anyjob-acme", "2.0", "v1")
    assert "acme" in anyjob_cli("backends", "list").stdout


def test_what_was_imported_from_it_is_forgotten() -> None:
    assert "anyjob_acme" not in sys.modules


def test_the_isolated_registry_has_an_environment_of_its_own(isolated_registry: IsolatedRegistry) -> None:
    groups = {"anyjob.backends": {"acme": "anyjob_acme:Backend"}}
    isolated_registry.install("anyjob-acme", entry_points=groups, modules={"anyjob_acme.py": MODULE})
    isolated_registry.environ["ANYJOB_DISABLE_PLUGINS"] = "anyjob-acme"
    isolated_registry.refresh()
    with pytest.raises(BlockedPluginError):
        isolated_registry.backend("acme")


# --- the clock ------------------------------------------------------------------------------------


@pytest.fixture
def slow(fake_clock: FakeClock) -> ScriptedEngine:
    """An engine that may be asked every 10 s, and forgets jobs after a minute."""
    return ScriptedEngine.make(floor=10.0, ceiling=100.0, grace=60.0)


def test_a_grace_period_passes_at_once(fake_clock: FakeClock, slow: ScriptedEngine) -> None:
    before = fake_clock.monotonic()
    job = slow.run(CALL)
    assert job.outcome(timeout=HOUR).reason == "lost"
    assert 60 <= fake_clock.monotonic() - before < HOUR
    slow.close()


def test_a_timeout_passes_at_once_and_the_engine_is_asked_meanwhile(
    fake_clock: FakeClock, slow: ScriptedEngine
) -> None:
    before = fake_clock.monotonic()
    job = slow.run(CALL)
    slow.say("n0", JobStatus.RUNNING)
    with pytest.raises(JobTimeoutError):
        job.result(timeout=HOUR)
    assert HOUR <= fake_clock.monotonic() - before < HOUR + 200
    assert HOUR / 100 - 2 <= len(slow.questions) <= HOUR / 10
    slow.close()


def test_what_is_said_in_between_is_heard_before_the_timeout(
    fake_clock: FakeClock, slow: ScriptedEngine
) -> None:
    job = slow.run(CALL)
    seen: list[JobStatus] = []

    def go_on(job_id: str, status: JobStatus, job: Any) -> None:
        seen.append(status)
        slow.say("n0", JobStatus.RUNNING if len(seen) < 3 else JobStatus.DONE)

    job.wait_for_final_state(timeout=HOUR, wait=20, callback=go_on)
    assert seen[-1] is JobStatus.DONE
    slow.close()


def test_waits_for_plain_jobs_pass_at_once(fake_clock: FakeClock) -> None:
    before = fake_clock.time()
    jobs = [ScriptedJob(*[JobStatus.RUNNING] * count, JobStatus.DONE) for count in (9, 3)]
    assert list(anyjob.as_completed(jobs, timeout=HOUR)) == jobs[::-1]
    never = ScriptedJob(JobStatus.RUNNING)
    assert anyjob.wait([never], timeout=HOUR).not_done == [never]
    with pytest.raises(JobTimeoutError):
        never.wait_for_final_state(timeout=HOUR)
    assert 2 * HOUR <= fake_clock.time() - before < 3 * HOUR


@pytest.fixture
def left_over() -> Iterator[ScriptedEngine]:
    """A backend of an earlier test, whose thread asks on by the real time."""
    engine = ScriptedEngine.make(ceiling=HOUR, floor=HOUR)
    job = engine.run(CALL)
    engine.say("n0", JobStatus.RUNNING)
    with pytest.raises(JobTimeoutError):
        job.result(timeout=0.01)
    yield engine
    engine.close()


def test_threads_that_were_there_before_stop_no_time(
    left_over: ScriptedEngine, request: pytest.FixtureRequest
) -> None:
    clock = request.getfixturevalue("fake_clock")
    before = clock.time()
    assert anyjob.wait([ScriptedJob(JobStatus.RUNNING)], timeout=HOUR).not_done
    assert clock.time() - before >= HOUR


def test_sleep_passes_at_once_and_time_stands_still_for_nobody(fake_clock: FakeClock) -> None:
    before = time.monotonic()
    time.sleep(HOUR)
    assert time.monotonic() - before >= HOUR
    fake_clock.advance(HOUR)
    assert time.monotonic() - before >= 2 * HOUR


def test_who_waits_is_woken_when_time_is_let_pass(fake_clock: FakeClock) -> None:
    event, woken = threading.Event(), threading.Event()
    threading.Thread(target=lambda: woken.set() if not event.wait(HOUR) else None).start()
    while not fake_clock._waits:  # until it waits
        pass
    assert not woken.is_set()
    fake_clock.advance(HOUR)
    assert woken.wait()


def test_the_real_time_is_back(fake_clock: FakeClock) -> None:
    assert time.monotonic == fake_clock.monotonic


def test_the_real_time_is_back_afterwards() -> None:
    assert getattr(time.monotonic, "__self__", None) is time
    assert threading.Event.__module__ == "threading"


# --- the command line -----------------------------------------------------------------------------


def test_the_command_line_runs_in_the_environment_of_the_test(
    anyjob_cli: Cli, anyjob_environment: Path
) -> None:
    (anyjob_environment / "anyjob.toml").write_text('default_backend = "inline"\n')
    done = anyjob_cli("run", "--", "cat")
    assert (done.returncode, done.stdout) == (0, "")
    assert "inline" in anyjob_cli("config", "show").stdout
    failed = anyjob_cli("run", "-b", "nothing-of-this-name", "--", "true")
    assert failed.returncode != 0
    assert "nothing-of-this-name" in failed.stderr


def test_a_job_of_the_command_line_is_found_by_the_test(anyjob_cli: Cli) -> None:
    detached = anyjob_cli("run", "--detach", "--", "echo", "here")
    job = anyjob.get_job(detached.stdout.strip())
    assert job.spec() == Command(["echo", "here"], cwd=job.spec().cwd)
    assert job.result(60).stdout.text() == "here\n"
