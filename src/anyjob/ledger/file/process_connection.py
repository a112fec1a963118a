"""One SQLite connection for all threads of a process: closed before it forks, and when the program ends.

SQLite keeps its locks by process, and does not notice a fork: in a child, a connection that is open believes
that it holds what it does not. Others take away the journal under it, and what it writes destroys what they
wrote.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
import weakref
from contextlib import suppress

from anyjob.process.forks import in_each_process
from anyjob.process.weak_collections import living

FORK_PATIENCE = 5.0
"""Seconds that a fork waits, at most, for another thread that is at work with a connection."""

FileIdentity = tuple[int, int]
"""Device and inode."""


class ProcessConnection:
    """Holds a connection, and the lock of who uses it: both are those of one process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._file: FileIdentity | None = None  # which the connection has open
        self._forks_in: int | None = None  # the thread that forks, and has the lock meanwhile
        in_each_process(self._make_own)
        _every[id(self)] = self

    def _make_own(self) -> None:
        forks_here = self._forks_in == threading.get_ident()
        if self._db is not None or not self._lock.acquire(blocking=False):
            self._refuse(forks_here)
        self._lock, self._forks_in = threading.RLock(), None

    def __del__(self) -> None:
        # Who has not closed it has not done wrong: from Python 3.13 on, sqlite3 would complain.
        with suppress(Exception):  # of an interpreter that ends: half of its modules are gone
            self.close()

    def close(self) -> None:
        """Close it; the next use opens it anew."""
        with self._lock:
            db, self._db, self._file = self._db, None, None
            if db is not None:
                db.close()

    def before_fork(self) -> None:
        """Close it, and let nobody use it until the fork is done.

        Whoever is at work is waited for, within a bound: it might want what the thread that forks has. What
        this thread itself is at work with stays open (a signal handler forks).
        """
        if self._lock.acquire(timeout=FORK_PATIENCE):
            self._forks_in = threading.get_ident()
            with suppress(sqlite3.ProgrammingError):  # whoever is at work with it has closed it
                if self._db is not None and not self._db.in_transaction:
                    self.close()

    def after_fork(self) -> None:
        """The fork is done; this is the process that was there before."""
        if self._forks_in == threading.get_ident():
            self._forks_in = None
            self._lock.release()

    def _refuse(self, forks_here: bool) -> None:
        """Nobody uses, nor closes, a connection that is our parent's, nor opens its file in this process."""
        db, self._db = self._db, None
        _carried.add(self._file)
        if db is None:
            return  # another thread was about to open it
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))  # else the end of the program closes it
        if forks_here:  # and goes on with what it was at work with where the signal handler returns
            db.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)

    @property
    def _is_refused(self) -> bool:
        return self._file in _carried


_every: weakref.WeakValueDictionary[int, ProcessConnection] = weakref.WeakValueDictionary()
_carried: set[FileIdentity | None] = set()  # what was open when this process was forked off


def _before_fork() -> None:
    for connection in living(_every).values():
        connection.before_fork()


def _after_fork() -> None:
    for connection in living(_every).values():
        connection.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork)


@atexit.register
def _close_all() -> None:
    """Whoever is the last to close a ledger has SQLite put all of it into one file."""
    for connection in living(_every).values():
        if connection._lock.acquire(blocking=False):  # a thread that is busy with it is not waited for
            connection.close()
            connection._lock.release()
