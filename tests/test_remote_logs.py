"""What jobs of another machine have written, attempt by attempt, and what is told of that machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.piped_machines import PipeBackend

import anyjob
from anyjob import BackendError, Command, JobError

TWICE = Command(["sh", "-c", "echo a$ANYJOB_ATTEMPT; echo b$ANYJOB_ATTEMPT; exit 3"])
ODD = "\x1b[31m\x1b]0;x\x07"


@pytest.fixture
def make(anyjob_session: anyjob.Session, anyjob_environment: Path) -> Callable[..., PipeBackend]:
    anyjob_session.registry.register_backend("pipe", PipeBackend)
    return lambda **options: anyjob_session.get_backend(
        "pipe", state=str(anyjob_environment / "far"), **options
    )


def test_each_attempt_has_what_it_wrote_and_who_follows_reads_all(make: Callable[..., PipeBackend]) -> None:
    """As on `local`: what an attempt wrote that was followed by another was nowhere to be had."""
    job = make().run(TWICE, retries=1)
    followed = list(job.logs(follow=True))
    assert followed == list(job.logs(follow=True, attempt=1)) == ["a1\n", "b1\n", "a2\n", "b2\n"]
    assert list(job.logs(attempt=1)) == ["a1\n", "b1\n"]
    assert list(job.logs(attempt=2)) == list(job.logs()) == ["a2\n", "b2\n"]
    assert list(job.logs("stderr", attempt=1)) == []
    with pytest.raises(JobError, match="has had 2 attempts"):
        list(job.logs(attempt=3))


def test_what_a_machine_says_of_itself_moves_no_cursor(make: Callable[..., PipeBackend]) -> None:
    """Escapes in it are told as text, in the words of each error that names the machine, too."""
    script = (
        f"from anyjob.ledger import identity; identity.HOST = {ODD!r} + 'h'\n"
        "from anyjob.remote.far import server; server.__version__ = identity.HOST; server.serve(30)"
    )
    backend = make(argv=(sys.executable, "-c", script), backend="none")
    told = backend.status().status_msg
    assert "\\x1b" in told
    assert backend.hello().host.endswith("h")
    assert told.isprintable()
    with pytest.raises(BackendError, match=r"^\\x1b.*h: no backend is called 'none") as refused:
        backend.run(Command(["true"]))
    assert "\x1b" not in str(refused.value)
