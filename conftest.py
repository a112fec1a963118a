"""What the tests of the core and of the plugins share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.two_hosts import TwoHosts

ROOT = Path(__file__).resolve().parent
# How long an example takes says what else the machine does.
settings.register_profile(
    "untimed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")
pytest_plugins = ["support.default_signals", "support.required_engines"]


@pytest.fixture
def run_anywhere(
    anyjob_environment: Path, anyjob_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[..., None]:
    """Gives a function that runs the sweep of examples/anywhere on the backend that one word names.

    What else is to be changed in its configuration are pairs: what stands there, and what does then.
    """

    def run(backend: str, *changes: tuple[str, str]) -> None:
        directory = anyjob_environment / "anywhere"
        shutil.copytree(ROOT / "examples" / "anywhere", directory)
        config = (directory / "anyjob.toml").read_text()
        assert config.count("laptop") == 3  # the comment, the word, and what it names
        changed = config.replace('default_backend = "laptop"', f'default_backend = "{backend}"')
        for old, new in changes:
            assert old in changed
            changed = changed.replace(old, new)
        (directory / "anyjob.toml").write_text(changed)
        done = anyjob_cli("run", "--json", "sweep.toml", cwd=directory, timeout=120)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        report = json.loads(done.stdout)
        assert report["backend"] == backend
        assert [job["state"] for job in report["jobs"]] == ["DONE"] * 4

    return run


@pytest.fixture
def run_examples(anyjob_environment: Path, tmp_path: Path) -> Callable[..., None]:
    """Gives a function that executes the examples of a page, with these variables: see tests/run_page.py."""

    def run(page: Path, **variables: str) -> None:
        directory = tmp_path / "examples"
        directory.mkdir()
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "ANYJOB_STATE": str(anyjob_environment / "state"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([str(directory), *filter(None, sys.path)]),
            "COLUMNS": "100",
            **variables,
        }
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "run_page.py"), str(page)],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=150,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"

    return run


@pytest.fixture
def two_hosts() -> Iterator[TwoHosts]:
    """Two hosts, where this machine lets us make them."""
    hosts = TwoHosts()
    try:
        try:
            hosts.build()
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or error
            pytest.skip(f"two hosts on one machine take root, Linux and `ip` (iproute2): {said}")
        yield hosts
    finally:
        hosts.tear_down()
