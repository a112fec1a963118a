"""A damaged ledger is kept aside, and what is sound of it, and what the spool knows, is carried over."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import random
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import DONE, add, backend, files_below, new_ids

from anyjob import StateError
from anyjob.ledger.encoding import decode_outcome
from anyjob.ledger.file.salvage import readable_rows, replacement
from anyjob.ledger.file.schema import faults, migrate
from anyjob.ledger.rows import Row
from anyjob.ledger.store import Ledger
from anyjob.spool import job_spool
from anyjob.status import JobStatus

PAGE = 4096


def filled(state: Path, bulks: int = 40) -> tuple[Ledger, list[str]]:
    """Make a ledger with some hundred jobs, all of it in the main file."""
    ledger = Ledger(state)
    ids: list[str] = []

    def fill() -> None:
        for number in range(bulks):
            ids.extend(add(ledger, 20, name=f"bulk {number}", tags={"number": str(number)}))
        ledger.settle(dict.fromkeys(ids[::2], DONE))

    ledger.transaction(fill)
    ledger.close()
    assert not Path(f"{ledger.path}-wal").exists()
    return ledger, ids


def damage(path: Path, change: Callable[[bytearray], None]) -> None:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def faults_of(ledger: Ledger) -> list[str]:
    return ledger.file.write(faults)


def root_page(ledger: Ledger, name: str) -> int:
    found: int = ledger.file.read("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,))[0][0]
    ledger.close()
    return found


def kept_aside(ledger: Ledger) -> list[Path]:
    return sorted(path for path in files_below(ledger.state) if ".damaged-" in path.name)


def test_a_file_that_is_no_database_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger, ids = filled(tmp_path / "s")
    damage(
        ledger.path, lambda content: content.__setitem__(slice(0, None), b"garbage " * (len(content) // 8))
    )
    before = ledger.path.read_bytes()
    (new,) = ledger.transaction(lambda: add(ledger))
    assert ledger.counts() == {"QUEUED": 1}
    (aside,) = kept_aside(ledger)
    assert aside.read_bytes() == before
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    (record,) = [record for record in caplog.records if record.name == "anyjob"]
    assert record.levelno == logging.WARNING
    assert str(aside) in record.getMessage()
    assert "0 jobs" in record.getMessage()
    assert "(0 of them without" in record.getMessage()
    assert set(ledger.rows([*ids, new])) == {new}
    assert len(files_below(ledger.state)) == len({"ledger", "-wal", "-shm", "lock", aside})


def test_a_first_page_that_is_lost_costs_nothing(tmp_path: Path) -> None:
    ledger, ids = filled(tmp_path / "s")
    damage(ledger.path, lambda content: content.__setitem__(slice(0, PAGE), os.urandom(PAGE)))
    assert set(ledger.rows(ids)) == set(ids)
    assert ledger.counts() == {"QUEUED": len(ids) // 2, "DONE": len(ids) // 2}
    row = ledger.rows(ids[:1])[ids[0]]
    assert (row.name, row.label, ledger.tags(row.bulk)) == ("bulk 0", "here", {"number": "0"})
    assert ledger.work(ids[1]) == (ids[1].encode(), None)


def test_what_is_before_the_end_of_a_truncated_file_is_carried_over(tmp_path: Path) -> None:
    ledger, ids = filled(tmp_path / "s")
    damage(ledger.path, lambda content: content.__delitem__(slice(len(content) * 2 // 3, None)))
    add(ledger)
    found = set(ledger.rows(ids))
    assert len(found) > 100
    assert len(kept_aside(ledger)) == 1


@pytest.mark.parametrize("seed", range(12))
def test_damaged_pages_cost_only_what_was_on_them(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    ledger, ids = filled(tmp_path / "s")
    pages = ledger.path.stat().st_size // PAGE
    fixed = {1, *(root_page(ledger, table) for table in ("jobs", "bulks", "backends"))}
    hit = chance.sample([page for page in range(1, pages + 1) if page not in fixed], 3)

    def change(content: bytearray) -> None:
        for page in hit:
            content[(page - 1) * PAGE : page * PAGE] = chance.randbytes(PAGE)

    damage(ledger.path, change)
    for job_id in ids:
        ledger.rows([job_id])
        ledger.work(job_id)
    new = add(ledger, 3)
    assert set(ledger.rows(new)) == set(new)
    found = ledger.rows(ids)
    assert len(found) >= len(ids) - 3 * 80
    for job_id, row in found.items():
        assert row.status is (JobStatus.DONE if ids.index(job_id) % 2 == 0 else JobStatus.QUEUED)
    assert faults_of(ledger) == []


def test_a_ledger_that_sqlite_finds_sound_may_have_lost_what_its_rows_name(tmp_path: Path) -> None:
    ledger, ids = filled(tmp_path / "s", bulks=2)
    assert faults_of(ledger) == []

    def lose(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM jobs WHERE id = ?", (ids[0],))
        db.execute("DELETE FROM backends")
        db.execute("UPDATE bulks SET last = last - 1 WHERE n = 2")
        db.execute("UPDATE sqlite_sequence SET seq = 39 WHERE name = 'jobs'")

    ledger.file.write(lose)
    assert ledger.file.read("PRAGMA integrity_check") == [("ok",)]
    assert faults_of(ledger) == [
        "39 rows of jobs whose backend is not in backends",
        "2 rows of bulks whose backend is not in backends",
        "1 rows of work whose n is not in jobs",
        "1 jobs outside of the numbers of their bulk",
        "1 jobs whose number may be given twice",
    ]


def test_a_job_is_found_whose_bulk_is_lost(tmp_path: Path) -> None:
    ledger, ids = filled(tmp_path / "s")
    page = root_page(ledger, "bulks")
    damage(
        ledger.path,
        lambda content: content.__setitem__(slice((page - 1) * PAGE, page * PAGE), os.urandom(PAGE)),
    )
    found = ledger.rows(ids)
    assert len(found) == len(ids)
    assert len(ledger.select(states=[JobStatus.QUEUED])) == len(ids) // 2
    assert ledger.backend_row(found[ids[0]].backend).label == "here"
    assert ledger.bulk(found[ids[0]].bulk)[0].route == ()
    assert faults_of(ledger) == [], "no tag is left of a bulk that is not there"


def test_what_was_not_yet_in_the_main_file_is_carried_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "s")
    ids = add(ledger, 50)
    ledger.settle({ids[0]: DONE})
    wal = Path(f"{ledger.path}-wal").read_bytes()
    main = ledger.path.read_bytes()
    ledger.close()
    ledger.path.write_bytes(b"not a database at all" + main[21:])
    Path(f"{ledger.path}-wal").write_bytes(wal)
    assert set(ledger.rows(ids)) == set(ids)


def test_how_many_have_lost_their_work_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger, ids = filled(tmp_path / "s")
    page = root_page(ledger, "work")
    damage(
        ledger.path,
        lambda content: content.__setitem__(slice((page - 1) * PAGE, page * PAGE), os.urandom(PAGE)),
    )
    ledger.work(ids[0])
    assert set(ledger.rows(ids)) == set(ids)
    assert f"{len(ids)} jobs that could be read ({len(ids)} of them without the work" in caplog.text
    assert faults_of(ledger) == []


# --- the spool ------------------------------------------------------------------------------------


def leave_outcome(state: Path, job_id: str, **said: Any) -> None:
    directory = job_spool.path_of(state / "spool", job_id)
    directory.mkdir(parents=True)
    (directory / "outcome.pkl").write_bytes(pickle.dumps({"status": "DONE", **said}))


def value_of(row: Row) -> Any:
    assert row.outcome is not None
    return decode_outcome(row.outcome).value


def test_what_the_spool_knows_is_recovered(tmp_path: Path) -> None:
    ledger, ids = filled(tmp_path / "s")
    stranger, large, torn = (os.urandom(10).hex() for _ in range(3))
    leave_outcome(ledger.state, ids[0], value=pickle.dumps("not again"))
    leave_outcome(ledger.state, ids[1], value=pickle.dumps("ended meanwhile"), finished=5.0)
    leave_outcome(ledger.state, stranger, status="ERROR", reason="exception", message="oh")
    leave_outcome(ledger.state, large, value=pickle.dumps(bytes(1 << 20)))
    leave_outcome(ledger.state, torn)
    (job_spool.path_of(ledger.state / "spool", torn) / "outcome.pkl").write_bytes(b"\x80\x05half")
    damage(ledger.path, lambda content: content.__setitem__(slice(0, PAGE), bytes(PAGE)))

    rows = ledger.rows([*ids, stranger, large, torn])
    assert torn not in rows
    assert value_of(rows[ids[0]]) is None  # final is final
    ended = rows[ids[1]]
    assert (ended.status, ended.finished) == (JobStatus.DONE, 5.0)
    assert pickle.loads(value_of(ended)) == "ended meanwhile"
    assert (rows[stranger].status, rows[stranger].reason) == (JobStatus.ERROR, "exception")
    assert rows[stranger].kind == "python"
    value = value_of(rows[large])
    assert isinstance(value, job_spool.InSpool)
    assert pickle.loads(job_spool.load_large(value)) == bytes(1 << 20)
    assert {row.job_id for row in ledger.select(states=[JobStatus.ERROR])} == {stranger}


def test_a_ledger_that_is_gone_begins_with_what_the_spool_knows(tmp_path: Path) -> None:
    job_id = os.urandom(10).hex()
    ledger = Ledger(tmp_path / "s")
    leave_outcome(ledger.state, job_id, value=pickle.dumps(42))
    assert ledger.rows([job_id])[job_id].status is JobStatus.DONE


# --- others at the same time ------------------------------------------------------------------------


def test_who_has_it_open_goes_on_with_the_new_one(tmp_path: Path) -> None:
    mine, ids = filled(tmp_path / "s")
    theirs = Ledger(mine.state)
    number = backend(theirs)
    damage(mine.path, lambda content: content.__setitem__(slice(0, PAGE), os.urandom(PAGE)))
    mine.counts()
    (new,) = add(theirs, number=number)
    assert set(mine.rows([new])) == {new}
    assert backend(theirs) == backend(mine)
    assert set(theirs.rows(ids)) == set(ids)


def test_numbers_of_backends_are_learnt_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "s")
    backend(ledger, "one")
    assert backend(ledger, "two") == 2
    ledger.close()
    ledger.path.write_bytes(b"garbage " * 1000)

    with pytest.raises(StateError, match="submit once more"):
        add(ledger, number=2)

    def work() -> int:
        number = backend(ledger, "two")
        add(ledger, number=number)
        return number

    assert ledger.transaction(work) == 1
    assert [row.label for row in ledger.select()] == ["two"]


def _use(state: Path, gate: Any, ids: list[str], count: Any) -> None:
    ledger = Ledger(state)
    gate.wait()
    with count.get_lock():
        pass
    found = len(ledger.rows(ids))
    add(ledger, number=backend(ledger))
    with count.get_lock():
        count.value += found


def test_many_processes_replace_it_once(tmp_path: Path) -> None:
    ledger, ids = filled(tmp_path / "s")
    damage(ledger.path, lambda content: content.__setitem__(slice(0, PAGE), os.urandom(PAGE)))
    context = multiprocessing.get_context("spawn")
    gate, count = context.Barrier(4), context.Value("i", 0)
    users = [context.Process(target=_use, args=(ledger.state, gate, ids, count)) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert count.value == 4 * len(ids)
    assert len([path for path in kept_aside(ledger) if not path.name.endswith(("-wal", "-shm"))]) == 1
    assert len(ledger.select()) == len(ids) + 4


@pytest.mark.parametrize("step", ["rename", "link", "_rebuild", "carry_over", "take_spools", "unlink"])
def test_a_replacement_that_was_killed_is_gone_on_with(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, ids = filled(tmp_path / "s")
    damage(ledger.path, lambda content: content.__setitem__(slice(0, PAGE), os.urandom(PAGE)))

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    renames = 0

    def second_rename(self: Path, target: Any) -> Any:
        nonlocal renames
        renames += 1
        if renames > 1:
            raise Killed
        return os.rename(self, target)

    with monkeypatch.context() as patch:
        match step:
            case "rename":
                patch.setattr(Path, "rename", killed)
            case "link":
                patch.setattr(Path, "rename", second_rename)
            case "unlink":
                patch.setattr(Path, "unlink", killed)
            case _:
                patch.setattr(replacement, step, killed)
        with pytest.raises(Killed):
            ledger.counts()
    again = Ledger(ledger.state)
    assert set(again.rows(ids)) == set(ids)
    add(again)
    assert [
        path for path in files_below(ledger.state) if path.name.endswith((".new", ".replacing", ".copy"))
    ] == []


def test_a_disk_that_is_full_meanwhile_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, ids = filled(tmp_path / "s")
    damage(ledger.path, lambda content: content.__setitem__(slice(0, PAGE), os.urandom(PAGE)))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(replacement, "_rebuild", full)
        with pytest.raises(StateError, match=r"the disk is full \(No space left.*ANYJOB_STATE"):
            ledger.counts()
    assert set(ledger.rows(ids)) == set(ids)


def test_what_waits_to_write_while_it_is_replaced_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, _ = filled(tmp_path / "s")
    theirs = Ledger(mine.state)
    number = backend(theirs)
    connection = theirs.file._connection
    opened = connection()
    (new,) = new_ids(1)

    def replaced_meanwhile() -> Any:
        monkeypatch.undo()
        damage(mine.path, lambda content: content.__setitem__(slice(0, PAGE), os.urandom(PAGE)))
        mine.counts()
        return opened

    monkeypatch.setattr(theirs.file, "_connection", replaced_meanwhile)
    add(theirs, number=number, ids=[new])
    assert set(mine.rows([new])) == {new}


def test_a_replacement_that_was_killed_when_it_was_done_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, ids = filled(tmp_path / "s")
    damage(ledger.path, lambda content: content.__setitem__(slice(0, PAGE), os.urandom(PAGE)))
    unlink = Path.unlink

    def killed(self: Path, missing_ok: bool = False) -> None:
        if self.name.endswith(".replacing"):
            raise KeyboardInterrupt
        unlink(self, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.counts()
    new = add(ledger)
    replacement.resume(ledger.path)
    assert set(ledger.rows([*ids, *new])) == {*ids, *new}
    assert not list(ledger.state.glob("*.replacing"))


def test_all_tables_are_salvaged() -> None:
    """Notes once were not, since the list of tables lagged behind the schema."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, "memory")
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    ours = {name for name in tables if not name.startswith("sqlite_")}
    assert {table for table, _ in readable_rows.TABLES} == ours
