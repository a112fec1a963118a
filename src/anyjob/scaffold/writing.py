"""Writes the files of a new plugin: all of them, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from anyjob.errors import StateError


def write(target: Path, contents: Mapping[str, str]) -> None:
    """Write files into a directory that is not there, or is empty.

    They are written into another one beside it, whose content then becomes that of this one.

    Raises:
        StateError: something is there already, or it cannot be written.
    """
    target = target.absolute()  # "." has neither name nor parent
    if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
        what = "has something in it" if target.is_dir() else "is not a directory"
        raise StateError(f"{target} {what}: name another by --directory, or move it away")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise _cannot(target, error) from error
    try:
        for path, text in contents.items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_text(text, encoding="utf-8")
        if target.exists():  # it may be where somebody is
            for entry in draft.iterdir():
                entry.rename(target / entry.name)
        else:
            draft.chmod(0o777 & ~_umask())  # mkdtemp makes it private
            draft.rename(target)
    except OSError as error:
        raise _cannot(target, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _cannot(target: Path, error: OSError) -> StateError:
    return StateError(f"{target} cannot be written: {error.strerror or error}; name another by --directory")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
