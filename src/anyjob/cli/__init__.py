"""The command line: ``anyjob``."""

from __future__ import annotations

import sys


def main() -> None:
    """Be the program ``anyjob``, and leave with an exit code of `anyjob.cli.exit_codes`."""
    if sys.argv[1:] == ["--version"]:  # known before any command, and told before any is imported
        sys.exit(_tell_version())
    # Most of a short command's time is imports. They make thousands of objects, none of them garbage, which
    # Python would search again and again, and take apart one by one at the end.
    import atexit
    import gc

    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    from anyjob.cli.app import main as group

    group()


def _tell_version() -> int:
    from anyjob import __version__
    from anyjob.cli import exit_codes
    from anyjob.cli.output import leave_pipe

    try:
        print(f"anyjob {__version__}", flush=True)
    except BrokenPipeError:
        leave_pipe()
        return exit_codes.BROKEN_PIPE
    return exit_codes.OK
