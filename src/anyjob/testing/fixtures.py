"""Fixtures for the tests of plugins: pytest finds them by itself where ``anyjob[testing]`` is installed.

None is used by itself, and nothing is imported before one is asked for. ``-p no:anyjob`` leaves them out.
What the conformance kit skips is reported with the name of its check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from anyjob.session.facade import Session
    from anyjob.testing.environment.fake_clock import FakeClock
    from anyjob.testing.environment.isolated_registry import IsolatedRegistry

TIMEOUT = 60.0
"""Seconds that a program of `anyjob_cli` may take."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Name the check of the kit that is skipped, and its place: by itself pytest tells of none."""
    report = yield
    check = getattr(item, "function", None)
    is_of_kit = getattr(check, "__module__", "").startswith("anyjob.testing.")
    if is_of_kit and report.skipped and isinstance(report.longrepr, tuple):
        path, line, _ = item.reportinfo()
        reason = report.longrepr[2].removeprefix("Skipped: ")
        report.longrepr = (str(path), (line or 0) + 1, f"{item.name}: {reason}")
    return report


@pytest.fixture
def anyjob_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Hide the settings of whoever runs the tests; end what is left running. Gives an empty directory.

    No variable ``ANYJOB_…`` is set, and configuration and state are sought below the directory. What the
    ``local`` backend has started in the test is ended after it.
    """
    from anyjob.testing.environment.isolated_environment import isolated

    with isolated(tmp_path_factory.mktemp("anyjob")) as home:
        yield home


@pytest.fixture
def anyjob_config() -> Mapping[str, Any]:
    """What the session of `anyjob_session` is configured with: nothing. To be overridden by a test module.

    ::

        @pytest.fixture
        def anyjob_config(server):
            return {"backends": {"acme": {"type": "acme", "url": server.url}}}
    """
    return {}


@pytest.fixture
def anyjob_open(
    request: pytest.FixtureRequest, anyjob_environment: Path
) -> Iterator[Callable[[Mapping[str, Any]], Session]]:
    """Give a function that makes a `Session` of a configuration; all are closed at the end.

    They share a state directory, as the sessions of several processes do, and so find each other's jobs::

        def test_a_job_is_found_again(anyjob_open, server):
            config = {"backends": {"acme": {"type": "acme", "url": server.url}}}
            job_id = anyjob_open(config).get_backend("acme").run(Report("sales")).job_id()
            assert anyjob_open(config).get_job(job_id).result(60) == "sold"

    They see what is installed; where the test asks for `isolated_registry` too, only what that has.
    """
    from contextlib import ExitStack

    from anyjob.config.settings import Config
    from anyjob.session.facade import Session

    isolated = "isolated_registry" in request.fixturenames
    registry = request.getfixturevalue("isolated_registry") if isolated else None
    with ExitStack() as made:

        def open_session(config: Mapping[str, Any]) -> Session:
            checked = Config.from_dict(dict(config), origin="the test")
            state = anyjob_environment / "state"
            return made.enter_context(Session(config=checked, registry=registry, state=state))

        yield open_session


@pytest.fixture
def anyjob_session(
    anyjob_open: Callable[[Mapping[str, Any]], Session], anyjob_config: Mapping[str, Any]
) -> Session:
    """Give a `Session` with a state directory of its own, closed at the end; see `anyjob_open`.

    It is configured by the fixture `anyjob_config`.
    """
    return anyjob_open(anyjob_config)


@pytest.fixture
def anyjob_backend(anyjob_open: Callable[[Mapping[str, Any]], Session]) -> Callable[..., Any]:
    """Give a function that makes a backend of a type, with these options, in a session of its own.

    ::

        def test_a_report_is_written(anyjob_backend, server):
            backend = anyjob_backend("acme", url=server.url)
            assert backend.run(Report("sales")).result(60) == "sold"

    Its configured name is its type. The sessions are those of `anyjob_open`: they share a state directory,
    and are closed at the end.
    """

    def make(type_name: str, /, **options: Any) -> Any:
        config = {"backends": {type_name: {"type": type_name, **options}}}
        return anyjob_open(config).get_backend(type_name)

    return make


@pytest.fixture
def isolated_registry(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[IsolatedRegistry]:
    """Give a `Registry` that has anyjob's own names, and what the test registers or installs.

    ::

        def test_the_plugin_is_found(isolated_registry):
            isolated_registry.install(
                "anyjob-acme",
                entry_points={"anyjob.backends": {"acme": "acme:Backend"}},
                modules={"acme.py": "from anyjob import TaskBackend as Backend"},
            )
            assert isolated_registry.backend("acme").__name__ == "TaskBackend"

    What is installed so can be imported, by programs that the test starts with ``sys.path``, too. See
    `anyjob.testing.environment.isolated_registry.IsolatedRegistry`.
    """
    from anyjob.testing.environment.isolated_registry import IsolatedRegistry

    registry = IsolatedRegistry(tmp_path_factory.mktemp("registry"))
    monkeypatch.syspath_prepend(str(registry.site))
    yield registry
    registry.forget()


@pytest.fixture
def fake_clock() -> Iterator[FakeClock]:
    """Give a clock that skips the time in which nothing happens but waiting.

    ::

        def test_a_job_that_the_engine_forgets_is_lost(fake_clock, anyjob_session):
            job = anyjob_session.get_backend("acme").run(Report("sales"))
            engine.forget(job.native_id())
            assert job.outcome(timeout=3600).reason == "lost"    # after a grace of a minute, at once

    ``fake_clock.advance(60)`` lets time pass while nobody waits. Ask for it before the fixture that makes
    the backend. See `anyjob.testing.environment.fake_clock.FakeClock`.
    """
    from anyjob.testing.environment.fake_clock import FakeClock, installed

    with installed(FakeClock()) as clock:
        yield clock


@pytest.fixture
def anyjob_cli(anyjob_environment: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a function that runs ``anyjob`` with these arguments, in a process of its own.

    What it returns has ``returncode``, ``stdout`` and ``stderr`` (text). Options are those of
    ``subprocess.run``; the program runs in the directory of `anyjob_environment`, and imports what the
    test can import.

    ::

        def test_it_is_listed(anyjob_cli):
            assert "acme" in anyjob_cli("backends", "list").stdout
    """
    import os
    import subprocess
    import sys

    program = "import sys; from anyjob.cli import main; sys.exit(main())"

    def anyjob(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        keywords: dict[str, Any] = {
            "cwd": anyjob_environment,
            "env": {**os.environ, "PYTHONPATH": path},
            "timeout": TIMEOUT,
            "stdin": None if "input" in options else subprocess.DEVNULL,
            **options,
        }
        return subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, **keywords
        )

    return anyjob
