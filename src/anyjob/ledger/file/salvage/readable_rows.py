"""The rows of a damaged ledger that can be read, in spite of pages that cannot."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from anyjob.ledger.encoding import Context, decode_outcome
from anyjob.ledger.file.schema import migrate
from anyjob.ledger.rows import CODE, FIRST, of_column

TABLES = (
    ("backends", "n"),
    ("bulks", "n"),
    ("jobs", "n"),
    ("work", "n"),
    ("tags", "bulk"),
    ("notes", "n"),
    ("attempts", "n"),
    ("reruns", "n"),
    ("summaries", "n"),
    ("dependents", "n"),
    ("dependencies", "prerequisite"),
    ("settings", "backend"),
    ("claims", "n"),
    ("once", "n"),
)
"""Each with the number that its rows lie in the order of."""
COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite adds to the name of a database for its other files."""
PAGE = 4096
_HEX = re.compile(r"[0-9a-f]{20}")


def carry_over(aside: Path, db: sqlite3.Connection) -> None:
    """Copy the rows that can be read, and make sense each by itself, into a new ledger."""
    for source in _readings(aside):
        with closing(source):
            for table, key in TABLES:
                _copy(source, db, table, key)


def _readings(aside: Path) -> Iterator[sqlite3.Connection]:
    """Open a damaged ledger; where its list of tables is lost, a copy with the list that it must have had."""
    source = _source(aside)
    try:
        if len(source.execute("SELECT name FROM sqlite_master").fetchall()) >= len(TABLES):
            yield source
            return
    except sqlite3.Error:
        pass
    source.close()
    copy = aside.with_name(f"{aside.name}.copy")
    try:
        _with_list_of_tables(aside, copy)
        yield _source(copy)
    finally:
        for leftover in (copy, *(Path(f"{copy}{companion}") for companion in COMPANIONS)):
            leftover.unlink(missing_ok=True)


def _source(path: Path) -> sqlite3.Connection:
    source = sqlite3.connect(path, isolation_level=None)
    with suppress(sqlite3.Error):
        source.execute("PRAGMA cell_size_check = ON")
    return source


def _with_list_of_tables(aside: Path, copy: Path) -> None:
    """Copy a ledger, with the first page of an empty one: the tables are where they always are."""
    blank = aside.with_name(f"{aside.name}.blank")
    with closing(sqlite3.connect(blank, isolation_level=None)) as db:
        migrate(db, blank)
    first = bytearray(blank.read_bytes()[:PAGE])
    blank.unlink()
    first[92:96] = b"\xff\xff\xff\xff"  # the number of pages is not taken from here, but from the file's size
    shutil.copyfile(aside, copy)
    with suppress(FileNotFoundError):
        shutil.copyfile(f"{aside}-wal", f"{copy}-wal")
    with open(copy, "r+b") as stream:
        stream.write(first)


def _copy(source: sqlite3.Connection, db: sqlite3.Connection, table: str, key: str) -> None:
    ours = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    try:
        theirs = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
    except sqlite3.Error:
        return
    columns = [column for column in ours if column in theirs]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
    for row in _rows(
        source, f"SELECT {names} FROM {table} NOT INDEXED", key, columns.index(key), _last(source, table, key)
    ):
        sound = _sound(table, dict(zip(columns, row, strict=True)))
        if sound is not None:
            with suppress(sqlite3.IntegrityError):
                db.execute(insert, list(sound.values()))


def _last(source: sqlite3.Connection, table: str, key: str) -> int:
    numbered = "bulks" if table == "tags" else table if table == "backends" else "jobs"
    for sql in (
        f"SELECT max({key}) FROM {table}",
        f"SELECT seq FROM sqlite_sequence WHERE name = '{numbered}'",
        f"SELECT max(n) FROM {numbered}",
    ):
        with suppress(sqlite3.Error):
            found = source.execute(sql).fetchone()
            if found is not None and isinstance(found[0], int):
                return found[0]
    return 0


def _rows(source: sqlite3.Connection, sql: str, key: str, at: int, last: int) -> Iterator[Sequence[Any]]:
    """Yield the rows that can be read: around a page that cannot be, ranges are halved until they fit."""
    ranges = [(0, last)]
    while ranges:
        low, high = ranges.pop()
        reached = low - 1
        try:
            for row in source.execute(f"{sql} WHERE {key} BETWEEN ? AND ? ORDER BY {key}", (low, high)):
                if isinstance(row[at], int):
                    reached = row[at]
                yield row
        except (sqlite3.Error, UnicodeDecodeError):
            if reached >= low:
                ranges.append((reached + 1, high))
            elif low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]


def _sound(table: str, row: dict[str, Any]) -> dict[str, Any] | None:
    """Return a row if it makes sense: SQLite notices only what breaks its own structures."""
    texts = (
        "fingerprint",
        "label",
        "type",
        "distribution",
        "options",
        "host",
        "kind",
        "native",
        "id",
        "releaser",
    )
    numbers = ("n", "backend", "bulk", "state", "attempt", "told", "first", "last", "original", "unmet",
               "prerequisite", "dependent", "condition")  # fmt: skip
    if not all(isinstance(value, str) for key, value in row.items() if key in texts):
        return None
    if not all(isinstance(value, int) for key, value in row.items() if key in numbers):
        return None
    try:
        if table == "backends":
            msgspec.json.decode(row["options"], type=dict)
        elif table == "bulks":
            of_column(row["name"]).encode("utf-8", "surrogatepass")
            msgspec.msgpack.decode(row["context"], type=Context)
        elif table == "once":
            bytes.join(b"", [row["key"]])
        elif table == "jobs":
            if not _HEX.fullmatch(row["id"]) or not FIRST <= row["state"] < len(CODE):
                return None
            if row["outcome"] is not None:
                decode_outcome(row["outcome"])
    except (AttributeError, TypeError, ValueError, msgspec.MsgspecError):
        if table != "jobs":
            return None
        row["outcome"] = None
    return row
