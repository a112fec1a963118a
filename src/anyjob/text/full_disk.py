"""What is said where something cannot be written for lack of space, whatever it is that is used up."""

from __future__ import annotations

import errno
import os

_SAID = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full, as far as your quota goes",
    errno.EFBIG: "the limit on the size of files is reached (`ulimit -f`)",
}
WAY_OUT = "free some space (`anyjob prune` removes what ended jobs have left; cancel first what fills it)"
"""Which of both it is cannot be told cheaply: how large the files of each job are is in no ledger."""
RAISE_THE_LIMIT = "raise it (`ulimit -f unlimited`)"


def is_full(error: BaseException | None) -> bool:
    """Tell whether something could not be written for lack of space."""
    return isinstance(error, OSError) and error.errno in _SAID


def explain(error: OSError) -> str:
    """Return why something could not be written, in words that name a full disk where it is one."""
    said = error.strerror or str(error)
    return f"{_SAID[error.errno]} ({said})" if error.errno in _SAID else said


def way_out(error: BaseException | None) -> str:
    """Return what to do where something could not be written for lack of space."""
    limited = isinstance(error, OSError) and error.errno == errno.EFBIG
    return RAISE_THE_LIMIT if limited else WAY_OUT


def has_space(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file system has room for another file of this user, as far as that can be told."""
    try:
        found = os.statvfs(path)
    except OSError:
        return True
    return found.f_bavail > 0 and (found.f_favail > 0 or not found.f_files)
