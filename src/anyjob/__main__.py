"""The program ``anyjob``, which ``python -m anyjob`` is, too: the command line.

Ctrl-C ends it with exit code 130 from here on, without the traceback of whatever is being imported.
"""

import _signal  # `signal` makes enums of it, which takes longer than all that is here
import os
import sys


def _leave(*_: object) -> None:
    os._exit(130)


if (
    _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler  # else it is ignored, and stays so
    and "multiprocessing.spawn" not in sys.modules  # a child of a command imports this, and runs no command
):
    _signal.signal(_signal.SIGINT, _leave)


def main() -> None:
    """Be the program: see `anyjob.cli.main`."""
    code: list[object] = []
    if "atexit" not in sys.modules:  # nobody has registered anything: what is registered first is called last
        import atexit

        atexit.register(_end, code)
    try:
        from anyjob import cli

        if _signal.getsignal(_signal.SIGINT) is _leave:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        cli.main()
    except SystemExit as end:
        code.append(end.code)
        raise
    except KeyboardInterrupt:  # before that has come to see to it
        sys.exit(130)
    except Exception as error:  # of what is imported before the command line has come to tell of errors
        from anyjob.standalone.shadowing import shadowing

        if said := shadowing(error):
            sys.exit(f"anyjob: error: {said}")
        raise


def _end(code: list[object]) -> None:
    """End the process without taking apart, object by object, all that was imported."""
    if len(code) != 1 or not isinstance(code[0], int):
        return  # Python has something to tell
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:
        return  # which it tells of, too
    os._exit(code[0])


if __name__ == "__main__":
    main()
