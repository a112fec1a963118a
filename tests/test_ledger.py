"""The ledger: what is written is read back, by whoever asks, and final is final."""

from __future__ import annotations

import ast
import multiprocessing
import os
import re
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import DONE, ERROR, add, backend, files_below, new_ids

from anyjob import StateError
from anyjob.ledger.encoding import Context, encode_resources, outcome_of
from anyjob.ledger.file import database, schema
from anyjob.ledger.rows import DUE, NewJob
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.resources import make_resources
from anyjob.status import JobStatus

RUNNING, QUEUED = JobStatus.RUNNING, JobStatus.QUEUED


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    ledger = Ledger(tmp_path / "state")
    yield ledger
    ledger.close()


def state_of(ledger: Ledger, job_id: str) -> JobStatus:
    return ledger.rows([job_id])[job_id].status


def test_what_is_written_is_read_back_by_another(ledger: Ledger) -> None:
    context = Context(("a", "command"), b"{}", cwd=b"/x\xff", environment="/e", python="/p", path=("/q",))
    (job_id,) = add(ledger, kind="a", name="n", tags={"k": "v"}, context=context, shared=b"s", created=5.0)
    again = Ledger(ledger.state)
    row = again.rows([job_id])[job_id]
    assert (row.label, row.kind, row.native, row.name, row.submitted) == ("here", "a", "command", "n", 5.0)
    assert (row.status, row.attempt, row.native_id, row.outcome) == (QUEUED, 1, None, None)
    assert again.bulk(row.bulk) == (context, "command", b"s")
    assert again.tags(row.bulk) == {"k": "v"}
    assert again.work(job_id) == (job_id.encode(), None)
    assert again.backend_row(row.backend).host == "h"


def test_a_transaction_is_all_or_nothing(ledger: Ledger) -> None:
    number = backend(ledger)
    (job_id,) = new_ids(1)

    def twice() -> None:
        add(ledger, number=number, ids=[job_id])
        add(ledger, number=number, ids=[job_id])

    with pytest.raises(StateError, match="UNIQUE"):
        ledger.transaction(twice)
    assert ledger.rows([job_id]) == {}
    add(ledger, number=number, ids=[job_id])


def test_the_number_of_a_backend_is_not_kept_from_a_transaction_that_fails(ledger: Ledger) -> None:
    def fail() -> None:
        backend(ledger, "first")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        ledger.transaction(fail)
    other = Ledger(ledger.state)
    theirs = backend(other, "theirs")
    other.close()

    (job_id,) = add(ledger, number=backend(ledger, "first"))

    assert backend(ledger, "first") != theirs
    assert ledger.rows([job_id])[job_id].label == "first"


def test_the_number_of_a_backend_is_known_once_its_transaction_is_committed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.0)
    number = ledger.transaction(lambda: backend(ledger, "first"))
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # so that nobody else can write

    assert backend(ledger, "first") == number

    other.close()


def test_the_first_outcome_counts(ledger: Ledger) -> None:
    (job_id,) = add(ledger)
    ledger.settle({job_id: DONE})
    ledger.settle({job_id: ERROR})
    ledger.moved([(job_id, RUNNING, 9, None)])
    row = ledger.rows([job_id])[job_id]
    assert (row.status, row.reason, row.attempt) == (JobStatus.DONE, None, 1)


def test_only_a_new_attempt_takes_a_job_back(ledger: Ledger) -> None:
    (job_id,) = add(ledger)
    ledger.moved([(job_id, RUNNING, 1, 7.0)])
    ledger.moved([(job_id, QUEUED, 1, None)])
    assert state_of(ledger, job_id) is RUNNING
    ledger.moved([(job_id, QUEUED, 2, None)])
    row = ledger.rows([job_id])[job_id]
    assert (row.status, row.attempt, row.started) == (QUEUED, 2, None)
    ledger.moved([(job_id, RUNNING, 1, 7.0)])  # what is older than that was seen too late
    assert state_of(ledger, job_id) is QUEUED


def test_what_an_engine_calls_an_attempt_is_not_noted_once_it_was_followed_by_another(ledger: Ledger) -> None:
    number = backend(ledger, "engine", host="")
    context = Context(("command",), encode_resources(make_resources({"retries": 2})))
    (job_id,) = add(ledger, number=number, context=context)
    ledger.launched({job_id: "17"})  # by somebody who has found it, and hears of its end
    failed = Outcome(status=JobStatus.ERROR, reason="exit-code", exit_code=1)
    (again,) = ledger.settle({job_id: failed}, {job_id: "17"}).again
    ledger.launched({job_id: "17"})  # by whoever has handed it over
    row = ledger.rows([job_id])[job_id]
    assert (again.attempt, row.state, row.attempt, row.native_id) == (2, DUE, 2, None)
    ledger.begin_attempts([job_id], QUEUED)
    ledger.launched({job_id: "18"}, {job_id: 2})
    ledger.launched({job_id: "17"})
    assert ledger.rows([job_id])[job_id].native_id == "18"


def test_an_outcome_without_a_time_has_ended_now(ledger: Ledger) -> None:
    (job_id,) = add(ledger)
    ledger.settle({job_id: Outcome(status=JobStatus.ERROR, reason="rejected")})
    assert ledger.rows([job_id])[job_id].finished is not None


def test_the_end_of_a_job_is_told_once(ledger: Ledger) -> None:
    ended, waits = add(ledger, 2)
    assert ledger.claim_finished([ended]) == []
    ledger.settle({ended: DONE})
    assert ledger.claim_finished([ended, waits]) == [ended]
    assert Ledger(ledger.state).claim_finished([ended, waits]) == []


def test_numbers_are_never_given_twice(ledger: Ledger) -> None:
    """A supervisor goes on after the last number that it has seen."""
    old = add(ledger, 3)
    last = max(row.n for row in ledger.rows(old).values())
    ledger.remove(old)
    (new,) = add(ledger)
    assert ledger.rows([new])[new].n > last


def test_removing_the_last_job_of_a_bulk_removes_what_they_share(ledger: Ledger) -> None:
    context = Context(("command",), b"{}", environment="/e/1")
    first, second = add(ledger, 2, context=context, tags={"k": "v"})
    bulk = ledger.rows([first])[first].bulk
    assert ledger.remove([first]) == []
    assert ledger.tags(bulk) == {"k": "v"}
    assert ledger.remove([second]) == ["/e/1"]
    assert ledger.tags(bulk) == {}
    assert ledger.work(second) == (None, None)
    with pytest.raises(StateError, match="not in the ledger"):
        ledger.bulk(bulk)


def test_ids_are_found_by_prefix_and_by_the_engines(ledger: Ledger) -> None:
    one, two = add(ledger, ids=["ab" * 10, "ab" * 9 + "cd"])
    number = backend(ledger)
    ledger.launched({one: "17", two: two})
    assert ledger.by_prefix("abab") == [one, two]
    assert ledger.by_prefix(two[:19]) == [two]
    assert ledger.by_prefix("%") == []
    assert ledger.by_native_id(number, "17") == one
    assert ledger.by_native_id(number, two) == two
    assert ledger.by_native_id(number + 1, "17") is None
    assert ledger.with_native_id("17") == [one]
    assert ledger.with_native_id(two) == []


def test_what_waits_is_cancelled_in_one_transaction(ledger: Ledger) -> None:
    """What runs, has ended, or is of another host, is left as it is; of the others all is in the row."""
    number = backend(ledger)
    ids = add(ledger, 1203)
    elsewhere = add(ledger, number=backend(ledger, "other", host="k"))
    ledger.moved([(ids[0], RUNNING, 1, 1.0), (ids[1], QUEUED, 2, None)])
    ledger.settle({ids[2]: DONE})
    seen: list[str] = []
    ledger.file._connection().set_trace_callback(seen.append)
    cancelled, _ = ledger.cancel_queued([*ids, *elsewhere, "0" * 20], "h", 9.0)
    ledger.file._connection().set_trace_callback(None)
    bulk = ledger.rows(ids)[ids[0]].bulk
    assert sorted(cancelled) == sorted(
        (job_id, bulk, 1 + (job_id == ids[1])) for job_id in (ids[1], *ids[3:])
    )
    assert seen.count("COMMIT") == 1
    assert state_of(ledger, ids[0]) is RUNNING
    assert state_of(ledger, elsewhere[0]) is QUEUED
    row = ledger.rows([ids[1]])[ids[1]]
    outcome = outcome_of(row)
    assert (outcome.status, outcome.attempt, outcome.reason) == (JobStatus.CANCELLED, 2, None)
    assert outcome.finished == 9.0
    assert ledger.cancel_queued(ids, "h", 10.0)[0] == []
    ledger.settle({ids[1]: ERROR})
    assert state_of(ledger, ids[1]) is JobStatus.CANCELLED, "final is final"
    assert ledger.queue.rows(number, 0, 10) == []


def test_what_waits_comes_in_order_with_its_work(ledger: Ledger) -> None:
    number = backend(ledger)
    other = add(ledger, number=backend(ledger, "other"))
    ids = add(ledger, 5)
    ledger.moved([(ids[1], RUNNING, 1, 1.0)])
    waiting = ledger.queue.rows(number, 0, 3)
    assert [(job_id, payload) for _, job_id, _, _, payload, _ in waiting] == [
        (job_id, job_id.encode()) for job_id in (ids[0], ids[2], ids[3])
    ]
    assert [job[1] for job in ledger.queue.rows(number, waiting[-1][0], 3)] == [ids[4]]
    assert ledger.queue.in_state(number, RUNNING) == [(ids[1], 1)]
    assert ledger.queue.open_in_bulk(ledger.rows(ids)[ids[0]].bulk) == 5
    ledger.settle({ids[0]: DONE})
    assert ledger.queue.open_in_bulk(ledger.rows(ids)[ids[0]].bulk) == 4
    assert len(ledger.queue.open_backends("h")) == 2
    ledger.settle({other[0]: DONE})
    assert ledger.queue.open_backends("h") == [number]
    assert ledger.counts() == {"QUEUED": 3, "RUNNING": 1, "DONE": 2}


# --- many at once -----------------------------------------------------------------------------------


def _write_many(state: Path, gate: Any, count: int) -> None:
    ledger = Ledger(state)
    gate.wait()
    for _ in range(count):
        ids = add(ledger, 3, number=backend(ledger, f"of {os.getpid()}"))
        ledger.settle(dict.fromkeys(ids, DONE))
    ledger.close()


def test_many_processes_make_and_write_it_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(4)
    writers = [context.Process(target=_write_many, args=(tmp_path / "s", gate, 20)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert Ledger(tmp_path / "s").counts() == {"DONE": 240}


def test_many_threads_write_through_one(ledger: Ledger) -> None:
    def write() -> None:
        for _ in range(20):
            ledger.settle(dict.fromkeys(add(ledger, 2), DONE))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.counts() == {"DONE": 160}


def test_a_forked_child_opens_its_own(ledger: Ledger) -> None:
    add(ledger)
    with ledger.file._lock:  # as if another thread were at work, which the child does not have
        pid = os.fork()
        if pid == 0:
            try:
                add(ledger)
            finally:
                os._exit(ledger.counts() != {"QUEUED": 2})
    assert os.waitpid(pid, 0)[1] == 0
    add(ledger)
    assert ledger.counts() == {"QUEUED": 3}


# --- private, and durable as asked for --------------------------------------------------------------


def test_all_files_are_private(ledger: Ledger) -> None:
    before = os.umask(0o000)
    try:
        add(ledger)
    finally:
        os.umask(before)
    assert {path.name for path in files_below(ledger.state)} >= {"ledger.sqlite", "ledger.sqlite-wal"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files_below(ledger.state)} == {0o600}
    assert stat.S_IMODE(ledger.state.stat().st_mode) == 0o700


def pragma(ledger: Ledger, name: str) -> Any:
    return ledger.file.read(f"PRAGMA {name}")[0][0]


def test_the_journal_goes_by_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Ledger(tmp_path / "local")
    assert pragma(local, "journal_mode") == "wal"
    monkeypatch.setattr(database, "is_network", lambda path: True)
    shared = Ledger(tmp_path / "shared")
    add(shared)
    assert pragma(shared, "journal_mode") == "delete"
    assert pragma(shared, "synchronous") == 2
    local.close()
    assert pragma(local, "journal_mode") == "delete"  # its directory has moved to the network
    monkeypatch.undo()
    shared.close()
    assert pragma(shared, "journal_mode") == "delete"  # this may be the machine that exports it


def test_full_durability_is_asked_for(tmp_path: Path) -> None:
    assert pragma(Ledger(tmp_path / "a"), "synchronous") == 1
    assert pragma(Ledger(tmp_path / "b", durability="full"), "synchronous") == 2
    later = Ledger(tmp_path / "c")
    add(later)
    later.require_full()
    assert pragma(later, "synchronous") == 2
    later.close()
    assert pragma(later, "synchronous") == 2


# --- other versions ---------------------------------------------------------------------------------


def test_an_older_ledger_is_brought_up_to_date(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = add(ledger, 3)
    ledger.close()
    steps = (
        *schema.MIGRATIONS,
        "ALTER TABLE jobs ADD COLUMN colour INTEGER; UPDATE jobs SET colour = 7;",
        "DROP INDEX jobs_native",
    )
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    newest = schema.VERSION + 2
    monkeypatch.setattr(schema, "VERSION", newest)
    monkeypatch.setattr(database, "VERSION", newest)
    assert set(ledger.rows(ids)) == set(ids)
    assert ledger.file.read("SELECT DISTINCT colour FROM jobs") == [(7,)]
    assert pragma(ledger, "user_version") == newest
    add(Ledger(ledger.state))


def test_a_migration_that_fails_changes_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = add(ledger, 3)
    ledger.close()
    with monkeypatch.context() as patch:
        steps = (*schema.MIGRATIONS, "DROP INDEX jobs_native; DROP TABLE nowhere")
        patch.setattr(schema, "MIGRATIONS", steps)
        patch.setattr(database, "VERSION", schema.VERSION + 1)
        patch.setattr(schema, "VERSION", schema.VERSION + 1)
        with pytest.raises(StateError, match="no such table"):
            ledger.rows(ids)
    ledger.launched({ids[0]: "17"})
    assert ledger.with_native_id("17") == [ids[0]]


def test_a_ledger_without_notes_gets_a_place_for_them(ledger: Ledger) -> None:
    (old,) = add(ledger)
    tables = (
        "notes",
        "reruns",
        "summaries",
        "dependents",
        "dependencies",
        "attempts",
        "settings",
        "claims",
        "once",
    )
    column = (
        "ALTER TABLE bulks RENAME COLUMN again TO other",
        "DROP INDEX jobs_priority",
        "ALTER TABLE jobs RENAME COLUMN priority TO another",
    )
    drops = (*(f"DROP TABLE {table}" for table in tables), *column, "PRAGMA user_version = 1")
    ledger.file.write(lambda db: [db.execute(statement) for statement in drops])
    ledger.close()
    assert ledger.notes(old) == {}
    assert ledger.superseded_by([old]) == {}
    assert pragma(ledger, "user_version") == schema.VERSION


# --- reruns -----------------------------------------------------------------------------------------


def rerun(ledger: Ledger, original: str) -> str:
    (job_id,) = new_ids(1)
    context = Context(("python",), b"{}")
    job = NewJob(job_id, None, rerun_of=original)
    ledger.add(backend(ledger), [job], kind="python", native="python", context=context, name="fit")
    return job_id


def test_jobs_that_were_run_anew_make_a_line_of_which_the_newest_counts(ledger: Ledger) -> None:
    (first,) = add(ledger, name="fit")
    second = rerun(ledger, first)
    third = rerun(ledger, first)  # by its id, although it was run anew before
    assert ledger.superseded_by([first, second, third]) == {first: second, second: third}
    assert ledger.rerun_of([first, second, third]) == {second: first, third: second}
    assert [row.job_id for row in ledger.select(name="fit", superseded=False)] == [third]
    assert len(ledger.select(name="fit")) == 3
    ledger.remove([second])
    assert ledger.superseded_by([first]) == {}


def test_a_rerun_of_what_was_forgotten_supersedes_nothing(ledger: Ledger) -> None:
    assert ledger.rerun_of([rerun(ledger, "0" * 20)]) == {}


# --- notes ------------------------------------------------------------------------------------------


def test_notes_stay_with_their_job_and_go_with_it(ledger: Ledger) -> None:
    number = backend(ledger)
    hostile = {"acme.\udcff": "$(x) \n\0 é"}
    jobs = [
        NewJob(job_id, None, notes=notes) for job_id, notes in zip(new_ids(2), (hostile, {}), strict=True)
    ]
    ledger.add(number, jobs, kind="python", native="python", context=Context(("python",), b"{}"))
    assert [ledger.notes(job.job_id) for job in jobs] == [hostile, {}]
    ledger.remove([job.job_id for job in jobs])
    assert ledger.file.read("SELECT count(*) FROM notes") == [(0,)]


def test_a_newer_ledger_is_refused(ledger: Ledger) -> None:
    add(ledger)
    ledger.close()
    db = sqlite3.connect(ledger.path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match=r"version 99.*newer anyjob.*upgrade anyjob, or set ANYJOB_STATE"):
        ledger.counts()
    assert len(files_below(ledger.state)) < 5  # it was not taken for damaged


def test_all_that_have_ended_are_found_however_many(ledger: Ledger) -> None:
    """A dry run of prune once counted to 500."""
    ids = add(ledger, 1200)
    ledger.settle(dict.fromkeys(ids, DONE))
    assert ledger.ended_before(2.0) == ids
    assert ledger.ended_before(1.0) == []


# --- what goes wrong --------------------------------------------------------------------------------


def test_a_full_disk_is_said_and_nothing_is_half_written(ledger: Ledger) -> None:
    (job_id,) = add(ledger)
    pages = pragma(ledger, "page_count")
    pragma(ledger, f"max_page_count = {pages}")
    with pytest.raises(StateError, match=r"the disk is full.*anyjob prune.*ANYJOB_STATE"):
        add(ledger, 5000)
    assert ledger.counts() == {"QUEUED": 1}
    pragma(ledger, f"max_page_count = {1 << 30}")
    add(ledger)
    assert state_of(ledger, job_id) is QUEUED


def test_one_that_is_locked_for_too_long(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    add(ledger)
    ledger.close()
    monkeypatch.setattr(database, "PATIENCE", 0.01)
    db = sqlite3.connect(ledger.path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateError, match="another process has kept it locked"):
        add(ledger)
    db.close()
    add(ledger)


def test_a_ledger_that_was_deleted_is_made_anew(ledger: Ledger) -> None:
    add(ledger)
    for path in files_below(ledger.state):
        path.unlink()
    ledger.state.rmdir()
    ledger.transaction(lambda: add(ledger))
    assert ledger.counts() == {"QUEUED": 1}


def test_asking_whether_there_is_one_makes_none(tmp_path: Path) -> None:
    assert not Ledger(tmp_path).exists
    assert not list(tmp_path.iterdir())


def test_a_ledger_that_is_a_link_or_no_file_is_refused(tmp_path: Path) -> None:
    for name in ("link", "directory"):
        ledger = Ledger(tmp_path / name)
        if name == "link":
            (tmp_path / "elsewhere").write_bytes(b"")
            ledger.path.symlink_to(tmp_path / "elsewhere")
        else:
            ledger.path.mkdir()
        with pytest.raises(StateError, match="not a plain file of yours"):
            add(ledger)
    assert (tmp_path / "elsewhere").read_bytes() == b""


LEFT_OPEN = """
import gc, sys
from pathlib import Path
from anyjob.ledger.store import Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.itself = ledger  # so that only the end of the process can take it away, and that does not look for it
gc.freeze()
ledger.counts()
"""


def test_the_last_process_leaves_one_file(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LEFT_OPEN, str(tmp_path / "state")], check=True, timeout=60)
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["ledger.lock", "ledger.sqlite"]


AS_NOBODY = """
import os, sys
sys.path[:] = {path!r}
from pathlib import Path
from anyjob.errors import StateError
from anyjob.ledger.store import Ledger
import anyjob.ledger.file.salvage.replacement  # where our modules are, nobody may not read
os.setgid(65534), os.setuid(65534)
try:
    Ledger(Path({state!r})).counts()
except StateError as error:
    print(error)
"""


@pytest.fixture
def tmp_path_outside() -> Iterator[Path]:
    """A directory that others may enter: a pytest that starts beside closes those of its own."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_what_is_not_ours_or_cannot_be_written_is_refused(tmp_path_outside: Path) -> None:
    def told(state: Path) -> str:
        program = AS_NOBODY.format(path=[p for p in sys.path if p], state=str(state))
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout

    ours = Ledger(tmp_path_outside / "ours")
    add(ours)
    ours.state.chmod(0o755)
    assert "belongs to uid 0, not to you (uid 65534)" in told(ours.state)
    assert "cannot make the directory" in told(tmp_path_outside / "missing")
    theirs = tmp_path_outside / "theirs"
    theirs.mkdir(mode=0o755)
    os.chown(theirs, 65534, 65534)
    assert told(theirs) == ""
    theirs.chmod(0o500)
    ledger = theirs / "ledger.sqlite"
    ledger.chmod(0o400)
    assert "set ANYJOB_STATE to another directory" in told(theirs) or told(theirs) == ""
    theirs.chmod(0o700)
    os.chown(ledger, 0, 0)
    assert "not a plain file of yours" in told(theirs)


def test_bulks_keep_the_order_of_their_jobs(ledger: Ledger) -> None:
    jobs = [NewJob(job_id, None) for job_id in new_ids(3)]
    ledger.add(backend(ledger), jobs, kind="python", native="python", context=Context(("python",), b"{}"))
    assert [row.job_id for row in ledger.select()] == [job.job_id for job in jobs]


def test_a_sqlite_that_is_too_old_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 7, 17))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.7.17")
    with pytest.raises(StateError, match=r"needs SQLite 3\.25 or newer, and this Python has 3\.7\.17: use"):
        Ledger(tmp_path / "s").transaction(lambda: None)


def test_statements_are_those_of_old_sqlites() -> None:
    """RHEL 9 has 3.34, RHEL 8 3.26, and with them their Pythons; `scripts/test-old-sqlite` runs one."""
    newer = r"\bRETURNING\b|\bsqlite_schema\b|\bFILTER\s*\(|\biif\(|->>|\bMATERIALIZED\b"
    newer += r"|\bUPDATE\b[^()]*\bFROM\b|\bNULLS (?:FIRST|LAST)\b|\bGENERATED\b|\bSTRICT\b"
    newer += r"|\bDROP COLUMN\b|\bHAVING\b"
    for path in (Path(schema.__file__).parents[1]).rglob("*.py"):
        strings = [
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for text in strings:
            if re.search(r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE) ", text):
                assert not re.search(newer, text), (path, text)
