"""What the tests of the core and of the plugins share."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from unittest import SkipTest

import pytest

REQUIRED = bool(os.environ.get("ANYJOB_REQUIRE_ENGINES"))  # now: a test may hide the environment


def pytest_configure() -> None:
    """Set the signals that tests rely on, whatever we were started with: what tests start inherits them.

    ``nohup make test &`` of a shell without job control has SIGHUP and SIGINT ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where engines are required (in CI), a test that skips for want of its engine has failed.

    What the conformance kit skips (by SkipTest) does not apply to the engine: it is not missing.
    """
    is_of_kit = call.excinfo is not None and isinstance(call.excinfo.value, SkipTest)
    report = yield
    engine = item.get_closest_marker("engine")
    if report.skipped and engine is not None and REQUIRED and not is_of_kit:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"ANYJOB_REQUIRE_ENGINES is set, and {engine.args[0]} is missing: {reason}"
    return report


@pytest.fixture
def run_anywhere(
    anyjob_environment: Path, anyjob_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[[str], None]:
    """Gives a function that runs the sweep of examples/anywhere where one word says."""

    def run(word: str) -> None:
        here = anyjob_environment / "anywhere"
        shutil.copytree(Path(__file__).parent / "examples" / "anywhere", here)
        config = (here / "anyjob.toml").read_text()
        assert config.count("laptop") == 3  # the comment, the word, and what it names
        changed = config.replace('default_backend = "laptop"', f'default_backend = "{word}"')
        (here / "anyjob.toml").write_text(changed)
        done = anyjob_cli("run", "--json", "sweep.toml", cwd=here, timeout=120)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        told = json.loads(done.stdout)
        assert told["backend"] == word
        assert [job["state"] for job in told["jobs"]] == ["DONE"] * 4

    return run


class Hosts:
    """Two hosts, as far as the network is concerned, with a cable between them. One disk serves both.

    Attributes:
        addresses: what each has.
        enter: for each, the command that begins one which runs there.
    """

    addresses = "10.9.0.1", "10.9.0.2"

    def __init__(self) -> None:
        self._names = [f"anyjob-{os.getpid()}-{number}" for number in (1, 2)]
        self.enter = [["ip", "netns", "exec", name] for name in self._names]

    def build(self) -> None:
        """Make them."""
        first, second = self._names
        for name in self._names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "cable", "netns", first, "type", "veth", "peer", "name", "cable", "netns", second)
        for name, address in zip(self._names, self.addresses, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable")
        self.mend()

    def cut(self) -> None:
        """Let nothing pass between them any more; neither is told."""
        ip("-n", self._names[1], "link", "set", "cable", "down")

    def mend(self) -> None:
        """Let everything pass."""
        for name in self._names:
            ip("-n", name, "link", "set", "cable", "up")

    def run(self, program: Path, *arguments: str) -> None:
        """Run a Python program on the first host, and have it find no fault.

        Its arguments are these, the addresses, and the command that begins one which runs on the second. The
        lines that it writes, ``cut`` or ``mend``, are done, and answered by an empty line.
        """
        command = [*self.enter[0], sys.executable, str(program), *arguments, *self.addresses, *self.enter[1]]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as running:
            assert running.stdin is not None
            assert running.stdout is not None
            try:
                for line in running.stdout:
                    {"cut": self.cut, "mend": self.mend}[line.strip()]()
                    running.stdin.write("\n")
            except BaseException:
                running.kill()  # it is not waited for
                raise
        assert running.returncode == 0, "it has written to stderr what was wrong"

    def tear_down(self) -> None:
        """Kill what runs there, and remove them."""
        for name in self._names:
            found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            for pid in found.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def ip(*arguments: str) -> None:
    """Run ``ip``, which must succeed."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def two_hosts() -> Iterator[Hosts]:
    """Two hosts, where this machine lets us make them."""
    hosts = Hosts()
    try:
        try:
            hosts.build()
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or error
            pytest.skip(f"two hosts on one machine take root, Linux and `ip` (iproute2): {said}")
        yield hosts
    finally:
        hosts.tear_down()
