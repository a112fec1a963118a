"""What was forgotten is in no file of the state directory: commands and variables may be secret."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from support.cli_program import invoke

from anyjob import Command, Session, wait

SECRET = "correct-horse-battery-staple"
LONG = 60  # seconds: only ever waited for where something is broken


def holders(state: Path) -> list[str]:
    files = [path for path in state.rglob("*") if path.is_file()]
    return [str(path.relative_to(state)) for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("size", [1, 200, 3000])
def test_nothing_is_left_of_what_was_pruned(size: int, local_cli: Path) -> None:
    with Session(state=local_cli) as session:
        backend = session.get_backend("local")
        kept = backend.run(Command(["sleep", "60"]))
        work = [Command(["true", f"{SECRET}{n}"], env={"TOKEN": SECRET * size}) for n in range(40)]
        wait(backend.run_many(work), LONG)
        assert holders(local_cli)
        assert len(session.prune(0)) >= 40
        assert holders(local_cli) == []
        assert not kept.done()  # the supervisor has the ledger open meanwhile
        kept.cancel()


def test_the_command_line_forgets_too(local_cli: Path) -> None:
    assert invoke("run", "-b", "local", "--env", f"TOKEN={SECRET}", "--", "true").exit_code == 0
    done = invoke("prune", "--older-than", "0s")
    assert (done.exit_code, done.stderr) == (0, "")
    assert holders(local_cli) == []


def test_a_reader_in_the_way_is_told_of(local_cli: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyjob.ledger.file.database.PURGE_PATIENCE", 0.01)
    assert invoke("run", "-b", "local", "--env", f"TOKEN={SECRET}", "--", "true").exit_code == 0
    reader = sqlite3.connect(local_cli / "ledger.sqlite", isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM jobs").fetchone()
        done = invoke("prune", "--older-than", "0s")
        assert done.exit_code == 0
        assert "forgotten" in done.stdout
        assert "what was forgotten is still in the journal" in done.stderr
    finally:
        reader.close()
    assert invoke("prune", "--older-than", "0s").stderr == ""
    assert holders(local_cli) == []
