"""``anyjob top``: reads in a thread of its own, draws when something has changed, and does what keys say."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import click

from anyjob.cli.context import open_session
from anyjob.cli.control.holding import REFUSED
from anyjob.cli.terminal.output import console, is_terminal
from anyjob.cli.top.snapshot import Snapshot, read
from anyjob.cli.top.view import Action, View, press
from anyjob.errors import AnyjobError, StateError
from anyjob.session.facade import Session

ASK_EVERY = 5.0
"""Seconds between two questions to the backends, at least."""


@click.command(
    epilog="""\b
Examples:
  anyjob top
  anyjob top --interval 5s"""
)
@click.option(
    "--interval", default="1s", show_default=True, metavar="TIME", help="How often to read the ledger."
)
def top(interval: str) -> None:
    """Watch jobs in a terminal: what runs, waits or failed, why, and what the selected one wrote last.

    Keys: up and down select; f cycles through all, open, running and failed; s sorts; / searches; c cancels,
    h holds, u releases, r runs again (c and r ask first); q leaves. Jobs go on when it ends.
    """
    from anyjob.text.units import parse_duration

    seconds = parse_duration(interval, what="--interval")
    if not (is_terminal(sys.stdout) and sys.stdin.isatty()):
        raise StateError("top draws on a terminal, and there is none: `anyjob jobs` lists jobs anywhere")
    with open_session() as session:
        Top(session, seconds).run()


class Top:
    """The view, what is read for it, and what is done.

    Args:
        session: whose jobs.
        interval: seconds between two readings.
    """

    def __init__(self, session: Session, interval: float) -> None:
        self._session, self._interval = session, interval
        self._view = View()
        self._snapshot = Snapshot({}, (), (), {}, time.time())
        self._drawn = self._snapshot
        self._wanted, self._over = threading.Event(), False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._asked = 0.0

    def run(self) -> None:
        """Watch until somebody leaves."""
        reader = threading.Thread(target=self._read_on, name="anyjob-top", daemon=True)
        reader.start()
        out = console(sys.stdout)
        try:
            while not self._view.ended:
                self._watch(out)
                if self._view.stopped:
                    self._view = self._view._replace(stopped=False)
                    os.killpg(0, signal.SIGTSTP)  # goes on here with `fg`
        except KeyboardInterrupt:
            pass  # as q
        finally:
            self._over = True
            self._wanted.set()

    def _watch(self, out: Any) -> None:
        """Draw and press until somebody leaves or wants the shell: then the terminal is as it was before."""
        from rich.live import Live

        from anyjob.cli.top.keys import Keys

        with Keys(sys.stdin.fileno()) as keys, Live(console=out, screen=True, auto_refresh=False) as live:
            while not (self._view.ended or self._view.stopped):
                live.update(self._draw(out.width, out.height), refresh=True)
                for key in keys.wait(1.0, self._wake_read):
                    self._press(key, out.height)

    def _draw(self, width: int, height: int) -> Any:
        from rich.console import Group

        from anyjob.cli.top.screen import lines

        self._drawn = self._snapshot  # keys mean what is seen, whatever has been read since
        return Group(*lines(self._drawn, self._view, width, height))

    def _press(self, key: str, height: int) -> None:
        listed = [job.job_id for job in self._drawn.jobs]
        before = self._view
        self._view, action = press(self._view, key, listed, max(1, height // 2))
        if action is not None:
            self._view = self._view._replace(said=self._do(action))
        if action is not None or before != self._view:
            self._wanted.set()

    def _do(self, action: Action) -> str:
        """Do something with a job, and say what came of it."""
        does: dict[str, Callable[[Any], Any]] = {
            "cancel": lambda job: self._session.cancel([job])[0],
            "rerun": lambda job: self._session.rerun([job])[0].job_id()[:8],
            "hold": lambda job: self._session.hold([job])[0],
            "release": lambda job: self._session.release([job])[0],
        }
        short = action.job_id[:8]
        try:
            came = does[action.what](self._session.get_job(action.job_id))
        except AnyjobError as error:
            return f"{action.what} {short}: {error}".partition("\n")[0]
        except Exception as error:  # of a plugin
            return f"{action.what} {short}: {type(error).__name__}: {error}"
        if isinstance(came, str):
            return f"{short} runs anew as {came}"
        why = REFUSED.get(action.what, "it has ended")
        return f"{action.what} {short}: {'done' if came else f'not done: {why}'}"

    def _read_on(self) -> None:
        while not self._over:
            now = time.monotonic()
            ask = now - self._asked >= ASK_EVERY
            self._asked = now if ask else self._asked
            try:
                self._snapshot = read(self._session, self._view, ask=ask)
            except Exception as error:  # it is tried again; meanwhile what was read before is shown
                self._view = self._view._replace(said=f"{type(error).__name__}: {error}".partition("\n")[0])
            self._wanted.clear()
            try:
                os.write(self._wake_write, b"x")
            except OSError:
                pass  # it is awake
            self._wanted.wait(self._interval)
