"""Whose an error is that is none of ours: for the one line that a person reads in place of a traceback."""

from __future__ import annotations

import os
import sysconfig
import traceback

import anyjob
from anyjob.standalone.shadowing import shadowing

_OURS = os.path.dirname(os.path.abspath(anyjob.__file__))
_STANDARD = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
_INSTALLED = ("site-packages", "dist-packages")
_MORE = "`anyjob --debug …` shows how it came to it"


def origin_of(error: BaseException) -> str:
    """Return in a line where an error came from.

    A fault of anyjob is what is raised in its own code, or by the standard library for it. What is raised
    elsewhere is of a plugin, or of a job: it may be a service that is away, and no fault at all. Of a
    file that is imported in place of a module of the standard library, that is said.
    """
    if said := shadowing(error):
        return said
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not _is_standard(each.filename)]
    if frames and not os.path.abspath(frames[-1].filename).startswith(_OURS + os.sep):
        return f"Raised in {frames[-1].filename}, line {frames[-1].lineno}: {_MORE}"
    return f"This is a fault of anyjob: {_MORE}" if not isinstance(error, OSError) else _MORE


def _is_standard(file: str) -> bool:
    if file.startswith("<"):
        return True
    path = os.path.abspath(file)
    return path.startswith(_STANDARD) and not any(f"{os.sep}{name}{os.sep}" in path for name in _INSTALLED)
