"""The file of the ledger: opened, kept private, shared by processes and threads, replaced when damaged."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from anyjob.errors import StateError
from anyjob.ledger.file.process_connection import FileIdentity, ProcessConnection
from anyjob.ledger.file.schema import VERSION, migrate, version_of
from anyjob.ledger.file.statedir import cannot_write, exclusive, is_network, private_directory
from anyjob.ledger.rows import as_column
from anyjob.spool.private_files import sync_directories
from anyjob.text.full_disk import RAISE_THE_LIMIT, WAY_OUT, has_space

PATIENCE = 30.0
"""Seconds to wait for other processes that write."""
PURGE_PATIENCE = 2.0
"""Seconds to wait for other processes that read, where the journal is to be emptied."""
OLDEST_SQLITE = (3, 25)
"""What the statements of the ledger are written for; `scripts/test-old-sqlite` has it tested."""

_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
_TOO_LARGE = ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
"""What SQLite makes of EFBIG: it says SQLITE_FULL for ENOSPC alone."""
T = TypeVar("T")


class LedgerFile(ProcessConnection):
    """The SQLite database of a state directory, with one connection for all threads of this process.

    It is opened at the first use. A damaged one is put aside, and what is sound of it goes into a new
    one; whoever has the old one open notices, and goes on with the new one.

    Args:
        state: the state directory; made when it is missing.
        durability: ``normal``: what is written survives the death of any process; ``full``: that of
            the machine too, at the price of a flush to disk for each write.

    Raises:
        StateError: the directory cannot be made, is somebody else's, or others may write to it.
    """

    def __init__(self, state: Path, durability: str = "normal") -> None:
        self.state = private_directory(Path(state).absolute())
        self.path = self.state / "ledger.sqlite"
        self.opened = 0
        """How many times it was opened: numbers that were learnt before are good for that file only."""
        self._full = durability == "full"
        self._is_alone = False
        self._after_commit: list[Callable[[], object]] = []
        super().__init__()

    @property
    def exists(self) -> bool:
        """Whether there is one: asking does not make it."""
        return self.path.exists()

    def require_full(self) -> None:
        """Have what is written from now on survive the death of the machine."""
        with self._lock:
            if self._db is not None and not self._full:
                self._flush_commits(self._db)
            self._full = True

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query, whatever characters are in the text that it asks for.

        Raises:
            StateError: the ledger cannot be read.
        """
        try:
            return self._guarded(lambda: self._connection().execute(sql, values).fetchall())
        except UnicodeEncodeError:  # what cannot be written in UTF-8 stands in the ledger as bytes
            return self.read(sql, [as_column(value) if isinstance(value, str) else value for value in values])

    def at_once(self, work: Callable[[], T]) -> T:
        """Do some reading that sees one moment: a job that moves meanwhile is neither seen twice nor missed.

        Raises:
            StateError: the ledger cannot be read.
        """
        return self._guarded(lambda: self._at_once(work))

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do some work in one transaction: all of it, or nothing. Within another one it is part of that.

        Raises:
            StateError: the ledger cannot be written.
        """
        return self._guarded(lambda: self._transaction(work))

    def purge(self) -> bool:
        """Empty the journal, in which what was deleted stands still; return whether nobody was in the way.

        Raises:
            StateError: the ledger cannot be written.
        """

        def use() -> bool:
            db = self._connection()
            db.execute(f"PRAGMA busy_timeout = {PURGE_PATIENCE * 1000:.0f}")
            try:
                return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                db.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")

        return self._guarded(use)

    def after_commit(self, call: Callable[[], object]) -> None:
        """Have something called once what was written is committed; never, where that is rolled back."""
        with self._lock:
            if self._db is not None and self._db.in_transaction:
                self._after_commit.append(call)
            else:
                call()

    # --- one use ------------------------------------------------------------------------------

    def _guarded(self, use: Callable[[], T]) -> T:
        with self._lock:
            if self._db is not None and self._db.in_transaction:
                return use()
            for last in (False, True):
                try:
                    return use()
                except sqlite3.Error as error:
                    closed = self._db is None and isinstance(error, sqlite3.ProgrammingError)  # for a fork
                    if last or not (closed or is_damage(error)):
                        raise self._unusable(error) from error
                    if not closed:
                        self._replace(error)
                finally:
                    if self._is_alone:
                        self._let_others_in()
        raise AssertionError("the second use returns or raises")

    def _let_others_in(self) -> None:
        self._is_alone = False
        self.opened -= self._db is not None  # the file is the same next time
        self.close()

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        db = self._connection()
        if db.in_transaction:
            return work(db)
        while True:
            try:
                db.execute("BEGIN IMMEDIATE")
                if self._is_current():
                    result = work(db)
                    db.execute("COMMIT")
                    for call in self._after_commit:
                        call()
                    self._after_commit.clear()
                    return result
            except BaseException:
                self._after_commit.clear()
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
            # It was replaced while we waited for our turn: what we write now would be lost.
            db.execute("ROLLBACK")
            db = self._connection()

    def _at_once(self, work: Callable[[], T]) -> T:
        db = self._connection()
        if db.in_transaction:
            return work()
        try:
            db.execute("BEGIN")
            return work()
        finally:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        if self._db is None or not self._is_current():
            self.close()
            self._db = self._open()
            self.opened += 1
        return self._db

    def _is_current(self) -> bool:
        return _identity(self.path) == self._file

    # --- opening ------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        private_directory(self.state)  # it may have gone, or changed hands, since
        network = is_network(self.state)
        try:
            db = self._connect()
        except FileNotFoundError:
            pass
        else:
            if version_of(db) == VERSION and not (network and _journal(db) == "wal"):
                return self._tuned(db, network)
            db.close()
        with exclusive(self.state / "ledger.lock"):
            return self._make(network)

    def _make(self, network: bool) -> sqlite3.Connection:
        """Open a ledger that is new, old, or on the wrong kind of disk. The caller holds the lock."""
        from anyjob.ledger.file.salvage.replacement import resume
        from anyjob.ledger.file.salvage.spool_outcomes import take_spools

        try:
            resume(self.path)
            if not self.exists:
                # SQLite gives its other files the mode of this one.
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        except OSError as error:
            raise cannot_write(self.path, error) from error
        db = self._connect()
        try:
            # WAL needs memory that all readers share, which a network file system has not. What was made
            # there stays without, since this machine may be the one that exports it.
            if network or version_of(db) == 0:
                db.execute(f"PRAGMA journal_mode = {'DELETE' if network else 'WAL'}")
            if migrate(db, self.path):
                db.execute("BEGIN IMMEDIATE")
                take_spools(self.state / "spool", db)
                db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return self._tuned(db, network)

    def _connect(self) -> sqlite3.Connection:
        found = os.lstat(self.path)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise StateError(
                f"{self.path} is not a plain file of yours: what is in it is not trusted; move it away"
            )
        self._file = _identity(self.path)
        if self._is_refused:
            raise self._forked()
        try:
            return self._connect_as("NORMAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_IOERR_SHMSIZE":
                raise
            # The disk is full, and nobody has it open: who has it to himself needs no shared memory.
            self._is_alone = True
            return self._connect_as("EXCLUSIVE")

    def _connect_as(self, locking: str) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            oldest = ".".join(map(str, OLDEST_SQLITE))
            raise StateError(
                f"the ledger needs SQLite {oldest} or newer, and this Python has {sqlite3.sqlite_version}: "
                "use a Python that brings its own, as those of conda and uv do"
            )
        uri = f"{self.path.as_uri()}?mode=rw"  # a plain path would be made where there is none
        try:
            db = sqlite3.connect(
                uri, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError:
            os.lstat(self.path)  # it may be on its way aside: that is not found, and looked at once more
            raise
        try:
            db.execute(f"PRAGMA locking_mode = {locking}")
            version_of(db)  # fails where it is no database
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _tuned(self, db: sqlite3.Connection, network: bool) -> sqlite3.Connection:
        if self._full:
            self._flush_commits(db)
        else:
            db.execute(f"PRAGMA synchronous = {'FULL' if network else 'NORMAL'}")
        db.execute("PRAGMA cache_size = -16384")  # KiB
        db.execute("PRAGMA wal_autocheckpoint = 4000")  # pages
        db.execute("PRAGMA secure_delete = ON")  # what is forgotten may be secret
        return db

    def _flush_commits(self, db: sqlite3.Connection) -> None:
        """Have each commit reach the disk from now on, in files whose names have."""
        db.execute("PRAGMA synchronous = FULL")
        for directory in (self.state, *self.state.parents):
            with suppress(PermissionError):  # which is none that we have made
                sync_directories(directory)

    # --- what goes wrong ----------------------------------------------------------------------

    def _replace(self, error: sqlite3.Error) -> None:
        """Put a damaged ledger aside, unless another process has done so."""
        from anyjob.ledger.file.salvage.replacement import replace

        damaged = self._file
        db, self._db = self._db, None
        if db is not None:
            # Others wait for their turn to write until the new one is there, and then take that.
            with suppress(sqlite3.Error):
                db.execute("BEGIN IMMEDIATE")
        try:
            with exclusive(self.state / "ledger.lock"):
                if _identity(self.path) == damaged and not _is_sound(self.path):
                    replace(self.path, str(error))
        except sqlite3.Error as failure:
            raise self._unusable(failure) from failure
        except OSError as failure:
            raise cannot_write(self.path, failure) from failure
        finally:
            if db is not None:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                db.close()

    def _forked(self) -> StateError:
        return StateError(
            f"the ledger {self.path} cannot be used in this process: it was forked off while its parent had "
            "the ledger open, so SQLite's locks are not its own; start it as a program of its own "
            "(multiprocessing: the method 'spawn'), and fork in no signal handler"
        )

    def _unusable(self, error: sqlite3.Error) -> StateError:
        if self._is_refused:
            return self._forked()
        code = getattr(error, "sqlite_errorname", None) or ""
        way_out = "set ANYJOB_STATE to another directory"
        if code.startswith(_TOO_LARGE) and has_space(self.state) and _is_limited():
            why = f"the limit on the size of files is reached (`ulimit -f`) ({error}): {RAISE_THE_LIMIT}"
        elif code.startswith(_FULL) or not (code.startswith("SQLITE_BUSY") or has_space(self.state)):
            why = f"the disk is full, or your quota of it ({error}): {WAY_OUT}, or {way_out}"
        elif code.startswith("SQLITE_BUSY"):
            why = f"another process has kept it locked for {PATIENCE:g} s ({error}); see which one is stuck"
        elif code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
            why = (
                f"it cannot be written ({error}); make {self.state} and what is in it writable, or {way_out}"
            )
        else:
            why = f"{error} ({code or type(error).__name__}); if it persists, move it away, or {way_out}"
        return StateError(f"the ledger {self.path} cannot be used: {why}")


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether this is what SQLite says of a file that is damaged, or no database."""
    code = getattr(error, "sqlite_errorname", None) or ""
    return code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR_SHORT_READ"))


def _is_limited() -> bool:
    """Tell whether the files of this process may not be of any size."""
    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


def _is_sound(path: Path) -> bool:
    db = sqlite3.connect(path, timeout=PATIENCE)
    try:
        return bool(db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise
    finally:
        db.close()


def _identity(path: Path) -> FileIdentity | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _journal(db: sqlite3.Connection) -> str:
    return str(db.execute("PRAGMA journal_mode").fetchone()[0])
