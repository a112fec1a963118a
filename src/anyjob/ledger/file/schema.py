"""The tables of the ledger, and how an older ledger becomes one of today."""

from __future__ import annotations

import sqlite3

from anyjob.errors import StateError
from anyjob.ledger.rows import BLOCKED, DUE, FINAL

VERSION = 10

SCHEMA = """
CREATE TABLE backends (
    n INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, label TEXT NOT NULL,
    type TEXT NOT NULL, distribution TEXT NOT NULL, options TEXT NOT NULL, host TEXT NOT NULL);
CREATE TABLE bulks (
    n INTEGER PRIMARY KEY AUTOINCREMENT, backend INTEGER NOT NULL, kind TEXT NOT NULL, native TEXT NOT NULL,
    name TEXT NOT NULL, created REAL NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    context BLOB NOT NULL, shared BLOB, again INTEGER NOT NULL DEFAULT 0);
CREATE INDEX bulks_name ON bulks (name) WHERE name <> '';
CREATE INDEX bulks_created ON bulks (created, first);
CREATE TABLE tags (bulk INTEGER, key TEXT, value TEXT NOT NULL, PRIMARY KEY (bulk, key)) WITHOUT ROWID;
CREATE UNIQUE INDEX tags_value ON tags (key, value, bulk);
CREATE TABLE jobs (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, bulk INTEGER NOT NULL,
    backend INTEGER NOT NULL, state INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 1,
    told INTEGER NOT NULL DEFAULT 0, native_id TEXT, started REAL, finished REAL, reason TEXT, outcome BLOB,
    priority INTEGER);
CREATE INDEX jobs_state ON jobs (backend, state);
CREATE INDEX jobs_native ON jobs (native_id) WHERE native_id <> id;
CREATE INDEX jobs_priority ON jobs (backend, n) WHERE priority IS NOT NULL;
CREATE TABLE work (n INTEGER PRIMARY KEY, payload BLOB, spec BLOB);
CREATE TABLE notes (n INTEGER PRIMARY KEY, notes TEXT NOT NULL);
CREATE TABLE reruns (n INTEGER PRIMARY KEY, original INTEGER NOT NULL UNIQUE);
CREATE TABLE summaries (n INTEGER PRIMARY KEY, work TEXT NOT NULL, parameters TEXT NOT NULL);
CREATE TABLE attempts (
    n INTEGER, attempt INTEGER, kind TEXT NOT NULL, native_id TEXT, due REAL NOT NULL, wait REAL NOT NULL,
    outcome BLOB NOT NULL, PRIMARY KEY (n, attempt)) WITHOUT ROWID;
CREATE TABLE dependents (
    n INTEGER PRIMARY KEY, last INTEGER NOT NULL, unmet INTEGER NOT NULL, broken_by INTEGER);
CREATE INDEX dependents_open ON dependents (n) WHERE unmet > 0;
CREATE TABLE dependencies (
    prerequisite INTEGER, dependent INTEGER, condition INTEGER,
    PRIMARY KEY (prerequisite, dependent, condition)) WITHOUT ROWID;
CREATE INDEX dependencies_dependent ON dependencies (dependent);
CREATE TABLE settings (backend INTEGER PRIMARY KEY, options TEXT NOT NULL);
CREATE TABLE claims (n INTEGER PRIMARY KEY, releaser TEXT NOT NULL);
CREATE TABLE once (key BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX once_job ON once (n);
"""
# The jobs of a bulk are numbered from `first` to `last`: no index from bulks to jobs is needed. Numbers are
# never given twice. What a job is to do is written once, and stands apart from where it is. No two jobs
# supersede the same one, `original`: those that were run anew make a line, of which the newest counts. Jobs
# `n` to `last` of `dependents` wait until as many prerequisites as are `unmet` have ended, or one has ended
# in another way than it should: that is `broken_by`. What is set of a backend holds in place of its options.
# What is released is handed to its engine by the one releaser that has claimed it.
# Jobs of a bulk with `again` may have several attempts: `attempts` has those that were followed by another,
# with when that was `due`, after a `wait`. The job of a key of `once` is the one submitted last under it; one
# that was done stays there when it is forgotten, until more is.

REFERENCES = (
    ("jobs", "bulk", "bulks"),
    ("jobs", "backend", "backends"),
    ("bulks", "backend", "backends"),
    ("tags", "bulk", "bulks"),
    ("work", "n", "jobs"),
    ("notes", "n", "jobs"),
    ("attempts", "n", "jobs"),
    ("reruns", "n", "jobs"),
    ("reruns", "original", "jobs"),
    ("dependencies", "prerequisite", "jobs"),
    ("dependencies", "dependent", "dependents"),
    ("settings", "backend", "backends"),
    ("claims", "n", "jobs"),
)
"""Each column that holds the number of a row of another table: table, column, the other table."""

MIGRATIONS: tuple[str, ...] = (
    "CREATE TABLE notes (n INTEGER PRIMARY KEY, notes TEXT NOT NULL)",
    "CREATE TABLE reruns (n INTEGER PRIMARY KEY, original INTEGER NOT NULL UNIQUE)",
    "CREATE TABLE summaries (n INTEGER PRIMARY KEY, work TEXT NOT NULL, parameters TEXT NOT NULL)",
    "CREATE TABLE dependents ("
    "n INTEGER PRIMARY KEY, last INTEGER NOT NULL, unmet INTEGER NOT NULL, broken_by INTEGER);"
    "CREATE INDEX dependents_open ON dependents (n) WHERE unmet > 0;"
    "CREATE TABLE dependencies (prerequisite INTEGER, dependent INTEGER, condition INTEGER, "
    "PRIMARY KEY (prerequisite, dependent, condition)) WITHOUT ROWID;"
    "CREATE INDEX dependencies_dependent ON dependencies (dependent)",
    "ALTER TABLE jobs ADD COLUMN priority INTEGER;"
    "CREATE INDEX jobs_priority ON jobs (backend, n) WHERE priority IS NOT NULL",
    "CREATE TABLE settings (backend INTEGER PRIMARY KEY, options TEXT NOT NULL)",
    "CREATE TABLE claims (n INTEGER PRIMARY KEY, releaser TEXT NOT NULL)",
    "ALTER TABLE bulks ADD COLUMN again INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE attempts ("
    "n INTEGER, attempt INTEGER, kind TEXT NOT NULL, native_id TEXT, due REAL NOT NULL, wait REAL NOT NULL, "
    "outcome BLOB NOT NULL, PRIMARY KEY (n, attempt)) WITHOUT ROWID",
    "CREATE TABLE once (key BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX once_job ON once (n)",
)
"""``MIGRATIONS[i]``: the statements that make a ledger of version i + 2 of one of version i + 1."""


MISCOUNTED = (
    "g.unmet <> (SELECT count(*) FROM dependencies d JOIN jobs p ON p.n = d.prerequisite "
    f"WHERE d.dependent = g.n AND p.state < {FINAL})"
)
"""Is said of a row ``g`` of `dependents` that does not fit to what its jobs wait for."""
ASTRAY = (
    f"j.state = {BLOCKED} AND NOT EXISTS (SELECT 1 FROM dependents g "
    "WHERE g.n = (SELECT max(n) FROM dependents WHERE n <= j.n) AND g.last >= j.n "
    "AND g.unmet > 0 AND g.broken_by IS NULL)"
)
"""Is said of a job ``j`` that waits, and that nothing will ever release or end."""
NEVER_DUE = (
    f"j.state = {DUE} AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.n = j.n AND a.attempt = j.attempt - 1)"
)
"""Is said of a job ``j`` that goes again, at nobody knows what time."""


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of a ledger; 0 for one without tables."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def faults(db: sqlite3.Connection) -> list[str]:
    """Return what is wrong with a ledger that SQLite can read; nothing where it all fits together."""
    found = [line for (line,) in db.execute("PRAGMA integrity_check") if line != "ok"]
    wrong = [
        (f"rows of {table} whose {column} is not in {target}",
         f"{table} WHERE {column} NOT IN (SELECT n FROM {target})")
        for table, column, target in REFERENCES
    ]  # fmt: skip
    of_bulk = "jobs j JOIN bulks k ON k.n = j.bulk WHERE"
    wrong += [
        ("jobs outside of the numbers of their bulk", f"{of_bulk} j.n NOT BETWEEN k.first AND k.last"),
        ("jobs of another backend than their bulk", f"{of_bulk} j.backend <> k.backend"),
        ("jobs whose number may be given twice",
         "jobs WHERE n > (SELECT seq FROM sqlite_sequence WHERE name = 'jobs')"),
        ("groups of dependents that count their prerequisites wrongly", f"dependents g WHERE {MISCOUNTED}"),
        ("jobs that wait for nothing", f"jobs j WHERE {ASTRAY}"),
        ("jobs whose next attempt is due at no time", f"jobs j WHERE {NEVER_DUE}"),
    ]  # fmt: skip
    for what, rows in wrong:
        (count,) = db.execute(f"SELECT count(*) FROM {rows}").fetchone()
        if count:
            found.append(f"{count} {what}")
    return found


def migrate(db: sqlite3.Connection, path: object) -> bool:
    """Bring a ledger up to date, all of it or nothing; return whether it had no tables yet.

    Raises:
        StateError: it was written by a newer anyjob.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(db)
        if version > VERSION:
            raise StateError(
                f"the ledger {path} has version {version}, written by a newer anyjob; this one reads up to "
                f"version {VERSION}: upgrade anyjob, or set ANYJOB_STATE to another directory"
            )
        for step in MIGRATIONS[version - 1 :] if version else (SCHEMA,):
            for statement in filter(str.strip, step.split(";")):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite has rolled back by itself, where it could not write
            db.execute("ROLLBACK")
        raise
    return version == 0
