"""Files that are imported in place of Python's own modules: a user's ``random.py`` beside a script.

This is asked where an import has failed, so it imports nothing that might fail likewise.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = ("site-packages", "dist-packages")


def shadowing(error: BaseException | None) -> str:
    """Say which file an error is about that is imported in place of one of Python's own modules.

    Args:
        error: what was raised; what it was raised from is looked at, too.

    Returns:
        the file, the module and the way out; empty where it is about no such file.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for name, file in _modules_of(error):
            module = name.partition(".")[0]
            if module in sys.stdlib_module_names and file and not _is_installed(file):
                return f"{file} is imported in place of Python's own module {module!r}: rename that file"
        error = error.__cause__ or error.__context__
    return ""


def note_shadowing(error: BaseException) -> None:
    """Have an error say what `shadowing` says of it."""
    if isinstance(error, (ImportError, AttributeError)) and (said := shadowing(error)):
        error.add_note(said)


def _modules_of(error: BaseException) -> Iterator[tuple[str, str | None]]:
    """Yield the modules that an error is about, each with its file."""
    if isinstance(error, ImportError) and error.name:
        module = sys.modules.get(error.name.partition(".")[0])
        yield error.name, getattr(module, "__file__", None) or error.path
    elif isinstance(error, AttributeError) and isinstance(error.obj, type(sys)):
        yield error.obj.__name__, getattr(error.obj, "__file__", None)
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_name == "<module>":  # it was being imported
            yield str(trace.tb_frame.f_globals.get("__name__")), code.co_filename
        trace = trace.tb_next


def _is_installed(file: str) -> bool:
    path = os.path.abspath(file)
    return (
        file.startswith("<") or path.startswith(_STANDARD) or any(f"/{name}/" in path for name in _INSTALLED)
    )
