"""A plugin that takes long to import: whose it is is told, signals end the wait, and it can be bounded."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.cli_program import install

from anyjob.errors import BrokenPluginError, ConfigError
from anyjob.registry.lookup import Registry

PROGRAM = [sys.executable, "-m", "anyjob"]

# What a plugin does while it is imported, for as long as the tests last; each says first that it has begun.
BEGIN = "import signal, sys, time\nprint('begun', file=sys.stderr, flush=True)\nend = time.monotonic() + 60\n"
SLEEPS = f"{BEGIN}time.sleep(60)\n"
SWALLOWS = f"""{BEGIN}
while time.monotonic() < end:
    try:
        time.sleep(0.01)
    except BaseException:
        pass
"""
HANDLES = f"""
import signal
for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, lambda *_: None)
{BEGIN}
while time.monotonic() < end:
    time.sleep(1)
"""
BACKEND = "from anyjob import BaseBackend\n\n\nclass Backend(BaseBackend):\n    pass\n"


def install_backend(directory: Path, source: str) -> None:
    install(directory, "slow-plugin", "[anyjob.backends]\nslow = slow_plugin:Backend\n", slow_plugin=source)


def install_hooks(directory: Path, source: str) -> None:
    install(directory, "slow-plugin", "[anyjob.plugins]\nslow = slow_plugin\n", slow_plugin=source)


@contextmanager
def started(site: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The program, with what is installed in a directory."""
    environment = {**os.environ, "PYTHONPATH": str(site), **variables}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*PROGRAM, *arguments], stdout=pipe, stderr=pipe, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("source", [SLEEPS, SWALLOWS, HANDLES], ids=["sleeps", "swallows", "handles"])
@pytest.mark.parametrize("install_as", [install_backend, install_hooks])
def test_a_signal_ends_the_wait_for_an_import_and_nothing_is_submitted(
    site: Path, install_as: Callable[[Path, str], None], source: str, number: int
) -> None:
    install_as(site, source)
    backend = "slow" if install_as is install_backend else "local"
    with started(site, "run", "-b", backend, "--", "true") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "begun\n"
        process.send_signal(number)
        said, told = process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number)  # a shell has one code for both
    assert said == ""
    assert "Traceback" not in told
    jobs = subprocess.run([*PROGRAM, "jobs", "--json"], capture_output=True, text=True, check=True)
    assert jobs.stdout == "[]\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, "130"), (signal.SIGTERM, "143")])
def test_a_shell_sees_the_codes_of_signals(site: Path, number: int, code: str) -> None:
    install_backend(site, f"import os\nos.kill(os.getpid(), {int(number)})\n{BACKEND}")
    done = subprocess.run(
        ["bash", "-c", '"$@"; echo $?', "bash", *PROGRAM, "run", "-b", "slow", "--", "true"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(site)},
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == [code], done.stderr


def test_after_a_second_it_is_told_once_whose_import_is_waited_for(site: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "go-on"
    os.mkfifo(fifo)
    install_backend(site, f"{BEGIN}open({str(fifo)!r}).read()\n{BACKEND}")
    with started(site, "run", "-b", "slow", "--", "true") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "begun\n"
        told = process.stderr.readline()
        fifo.write_text("")
        _, rest = process.communicate(timeout=60)
    assert told == "anyjob: waiting for the import of slow = slow_plugin:Backend of slow-plugin 1.0\n"
    assert "waiting for the import" not in rest


def test_ctrl_c_cancels_as_before_once_the_plugin_is_imported(site: Path) -> None:
    install_hooks(site, "def anyjob_submitted(job):\n    pass\n")
    with started(site, "run", "-b", "local", "--", "sh", "-c", "echo begun >&2; sleep 60") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cancelling" in told


def test_where_no_job_runs_ctrl_c_interrupts_as_before(site: Path) -> None:
    source = (
        "import click, os, signal\n\n\n@click.command()\ndef go():\n    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    install(site, "go-plugin", "[anyjob.commands]\ngo = go_plugin:go\n", go_plugin=source)
    with started(site, "go") as process:
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_an_import_that_hangs_can_be_bounded(
    import_site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fifo = tmp_path / "go-on"
    os.mkfifo(fifo)
    install_backend(import_site, f"with open({str(fifo)!r}) as file:\n    file.read()\n{BACKEND}")
    monkeypatch.setenv("ANYJOB_IMPORT_TIMEOUT", "0.05s")
    registry = Registry()
    for _ in range(2):
        with pytest.raises(BrokenPluginError) as caught:
            registry.backend("slow")
        assert "slow = slow_plugin:Backend of slow-plugin 1.0 cannot be loaded" in str(caught.value)
        assert "it is still being imported after 0.05 s (ANYJOB_IMPORT_TIMEOUT)" in str(caught.value)
        names = [each.name for each in threading.enumerate()]
        assert names.count("anyjob-import-slow") == 1  # the second waits for the same import
    fifo.write_text("")
    monkeypatch.setenv("ANYJOB_IMPORT_TIMEOUT", "60")
    assert registry.backend("slow").__name__ == "Backend"


def test_what_is_raised_within_the_bound_is_told(import_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_backend(import_site, "import sys\nsys.exit(3)\n")
    monkeypatch.setenv("ANYJOB_IMPORT_TIMEOUT", "60")
    with pytest.raises(BrokenPluginError, match=r"it called sys.exit\(3\) while it was imported"):
        Registry().backend("slow")


def test_a_hook_plugin_that_hangs_is_left_out(site: Path) -> None:
    install_hooks(site, SWALLOWS)
    with started(site, "run", "-b", "local", "--", "echo", "ran", ANYJOB_IMPORT_TIMEOUT="0.05s") as process:
        said, told = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "ran\n")
    assert "a plugin is left out: anyjob.plugins: slow = slow_plugin of slow-plugin 1.0 cannot" in told


def test_a_bound_does_not_have_a_plugin_wait_for_who_imports_it(
    import_site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module looks the plugin up while it is imported, and the plugin imports that module."""
    install_backend(import_site, f"import slow_program\n{BACKEND}")
    (import_site / "slow_program.py").write_text(
        "from anyjob.registry.lookup import Registry\nfound = Registry().backend('slow')\n"
    )
    monkeypatch.setenv("ANYJOB_IMPORT_TIMEOUT", "60")
    assert importlib.import_module("slow_program").found.__name__ == "Backend"


def test_a_bound_that_is_no_time_is_told(import_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_backend(import_site, BACKEND)
    monkeypatch.setenv("ANYJOB_IMPORT_TIMEOUT", "soon")
    with pytest.raises(ConfigError, match="ANYJOB_IMPORT_TIMEOUT: 'soon' is not understood"):
        Registry().backend("slow")
