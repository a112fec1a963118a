"""What the commands work with: the default session, and where its warnings are written."""

from __future__ import annotations

import functools
import sys

import click

from anyjob.cli.terminal.output import print_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from typing import Any, TextIO

    from anyjob.registry.lookup import Registry
    from anyjob.session.facade import Session

_registry: Registry | None = None


def registry() -> Registry:
    """Return what is installed, and switched on; it is there where the configuration is broken, too."""
    global _registry
    if _registry is None:
        from anyjob.registry.lookup import Registry

        _registry = Registry(**switched_on())
    return _registry


def switched_on() -> dict[str, Any]:
    """Return which plugins the configuration switches on: what a registry takes."""
    from anyjob.config.settings import Config
    from anyjob.errors import ConfigError

    try:
        plugins = Config.load().plugins
    except ConfigError:
        return {}  # it is told by whatever needs the configuration
    return {"allow": plugins.allow, "deny": plugins.deny}


def open_session() -> Session:
    """Return the session that the commands, and plugins in them, work with.

    Raises:
        ConfigError: the configuration cannot be read.
    """
    from anyjob.session.default import default_session

    show_warnings()
    return default_session()


def show_warnings() -> None:
    """Have warnings and logged problems written as messages of anyjob, on stderr."""
    import warnings

    from anyjob.process import reporting

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        print_message(f"warning: {message}")

    def add_handler() -> None:
        import logging

        logging.getLogger("anyjob").addHandler(_handler())
        logging.getLogger("anyjob.plugins").setLevel(logging.INFO)  # what they have changed

    def restore() -> None:
        warnings.showwarning, reporting.prepare = before, None
        if "logging" in sys.modules:
            sys.modules["logging"].getLogger("anyjob").removeHandler(_handler())
            sys.modules["logging"].getLogger("anyjob.plugins").setLevel(0)

    before, warnings.showwarning, reporting.prepare = warnings.showwarning, show, add_handler
    click.get_current_context().find_root().call_on_close(restore)


@functools.cache
def _handler() -> logging.Handler:
    import logging

    class MessageHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
            print_message(f"{level}{record.getMessage()}")

    return MessageHandler()
