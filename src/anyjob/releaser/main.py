"""Starts a releaser: one a user, host, state directory, and kind of surroundings that jobs come from."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.locks import take_lock
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.config.settings import Config
from anyjob.errors import AnyjobError
from anyjob.execution.interpreter import unmark_interpreter
from anyjob.releaser.readings import Readings
from anyjob.releaser.service import Releaser
from anyjob.session.default import set_default_session
from anyjob.session.facade import Session


def main(arguments: list[str] | None = None) -> int:
    """Release what there is; return 0 when there is no more, or when another one does it."""
    unmark_interpreter()
    parser = argparse.ArgumentParser(prog="anyjob-releaser", description=__doc__)
    parser.add_argument("--state", required=True, type=Path)
    parser.add_argument("--runtime", help="where the sockets were; what is recorded counts")
    parser.add_argument("--host", default="")
    parser.add_argument("--key", required=True, help="of the surroundings: see ledger.releasing.submitters")
    given = parser.parse_args(arguments)
    try:
        paths = RuntimePaths(given.state, host=given.host)
        lock = take_lock(paths.releaser_lock(given.key))
        if lock is None:
            return 0
        with Session(Config.load(), state=given.state) as session:
            set_default_session(session)
            readings = Readings(paths.reading_note(given.key))
            Releaser(session, paths.host, given.key, readings).run()
    except AnyjobError as error:
        log_error(f"releaser {given.key}: {error}")
        return 1
    except Exception as error:  # the last that this process does is to log why it ends
        log_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
