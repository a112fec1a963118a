"""What the daemons complain of: it goes to stderr, a file of theirs, as far as that can be written."""

from __future__ import annotations

import sys


def log_error(error: BaseException | str) -> None:
    """Write an error with its traceback, or a text; who cannot goes on all the same."""
    import traceback

    try:
        if isinstance(error, str):
            print(error, file=sys.stderr)
        else:
            traceback.print_exception(error)
        sys.stderr.flush()
    except OSError:
        return
