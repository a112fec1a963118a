"""The command line: ``anyjob``."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob.cli.import_watch import ImportWatch
    from anyjob.registry.entry_points import Reference


def main() -> None:
    """Be the program ``anyjob``, and leave with an exit code of `anyjob.cli.exit_codes`."""
    try:
        _open_streams()
        if sys.argv[1:] == ["--version"]:  # known before any command, and told before any is imported
            sys.exit(_tell_version())
        _run_command()
    except KeyboardInterrupt:  # what is imported was interrupted: no command has begun that would see to it
        sys.exit(130)


def _run_command() -> None:
    # Most of a short command's time is imports. They make thousands of objects, none of them garbage, which
    # Python would search again and again, and take apart one by one at the end.
    import atexit
    import gc

    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    from anyjob.cli.app import main as group
    from anyjob.registry import importing

    importing.watch = _watch
    try:
        group()
    finally:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is said: what ends Python need not be told


def _watch(reference: Reference) -> ImportWatch:
    from anyjob.cli.import_watch import ImportWatch

    return ImportWatch(reference)


def _open_streams() -> None:
    """Have what was closed of stdin, stdout and stderr (``2>&-``) lead nowhere.

    Else Python has None there, and the next file or socket takes its number: what a library writes to it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode)  # noqa: SIM115 - it takes the lowest number: the one that is free
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _tell_version() -> int:
    from anyjob import __version__
    from anyjob.cli import exit_codes
    from anyjob.cli.terminal.output import leave_pipe

    try:
        print(f"anyjob {__version__}", flush=True)
    except BrokenPipeError:
        leave_pipe()
        return exit_codes.BROKEN_PIPE
    except OSError:
        _run_command()  # which says why it cannot be written
    return exit_codes.OK
