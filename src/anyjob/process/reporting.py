"""Reports what went wrong where no exception can tell of it, to the logger ``anyjob`` or one below it.

Most programs have nothing to report, and Python's logging is slow to import: the first report imports it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

prepare: Callable[[], object] | None = None
"""Called before each report, by a program that shows them: so it need not import logging before."""


def report(
    message: str,
    *arguments: Any,
    logger: str = "anyjob",
    level: str = "warning",
    error: BaseException | None = None,
) -> None:
    """Report something.

    Args:
        message: what to say, with places for the arguments as logging has them.
        arguments: what stands in these places.
        logger: the name of the logger.
        level: ``info``, ``warning`` or ``error``.
        error: what was raised, whose traceback goes with it.
    """
    import logging

    if prepare is not None:
        prepare()
    getattr(logging.getLogger(logger), level)(message, *arguments, exc_info=error)
