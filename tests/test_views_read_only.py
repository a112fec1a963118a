"""What shows jobs writes nothing to the ledger and needs no lock of it, whoever else writes meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from running_local import until
from support.cli_program import invoke

import anyjob
from anyjob import Command
from anyjob.cli.top import snapshot
from anyjob.cli.top.view import View
from anyjob.ledger.file import database
from anyjob.sdk import LiveView

VIEWS = (
    ("jobs",),
    ("jobs", "--json"),
    ("show", "{failed}"),
    ("explain", "{failed}"),
    ("explain", "{running}"),
    ("graph", "{failed}"),
    ("usage", "--by", "name,backend,day"),
    ("report", "--html", "r.html", "--trace", "t.json", "--csv", "c.csv"),
    ("logs", "{failed}"),
    ("doctor",),
    ("backends", "list"),
)


@pytest.fixture(scope="module")
def jobs(module_state: Path) -> Iterator[dict[str, str]]:
    """One that has failed, and one that runs; nothing is to be written of them for now."""
    with pytest.MonkeyPatch.context() as patch, anyjob.Session(state=module_state) as session:
        patch.setenv("ANYJOB_STATE", str(module_state))
        backend = session.get_backend("local")
        failed = backend.run(Command(["sh", "-c", "echo no luck >&2; exit 3"]), name="fit")
        failed.exception(60)
        running = backend.run(Command(["sleep", "600"]), name="fit")
        until(running.running, "it runs")
        yield {"failed": failed.job_id(), "running": running.job_id()}
        running.cancel()
        running.exception(60)


@pytest.fixture
def writer(local_cli: Path, jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody else is in the midst of writing, and does not come to an end."""
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    with closing(sqlite3.connect(local_cli / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM jobs")
        yield
        other.execute("ROLLBACK")


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_a_view_answers_while_others_write(view: tuple[str, ...], jobs: dict[str, str]) -> None:
    done = invoke(*(word.format(**jobs) for word in view))
    assert done.exit_code == 0, done.stderr
    assert "locked" not in done.stderr


@pytest.mark.usefixtures("writer")
def test_live_views_answer_while_others_write(local_cli: Path, jobs: dict[str, str]) -> None:
    with anyjob.Session(state=local_cli) as session:
        view = LiveView(session)
        assert {job["name"] for job in view.jobs().values()} == {"fit"}
        assert view.counts() == {"ERROR": 1, "RUNNING": 1}
        view.ask()
        assert view.loads()
        for job_id in jobs.values():
            assert view.details(job_id)
            assert view.log(job_id, "stderr")
            assert view.graph(job_id)
        view.close()
        assert len(snapshot.read(session, View(), ask=True).jobs) == 2
