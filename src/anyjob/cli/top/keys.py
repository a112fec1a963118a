"""The keys of a terminal, one at a time."""

from __future__ import annotations

import os
import select
import termios
import tty
from types import TracebackType

_NAMED = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down", "\x1b[5~": "pageup",
    "\x1b[6~": "pagedown", "\x1b[H": "home", "\x1b[F": "end", "\x1b[1~": "home", "\x1b[4~": "end",
    "\r": "enter", "\n": "enter", "\x1b": "escape", "\x7f": "backspace", "\x08": "backspace",
    "\x03": "interrupt", "\x04": "interrupt", "\x1a": "stop",
}  # fmt: skip


def split(text: str) -> list[str]:
    """Return the keys that some text of a terminal stands for; sequences that mean nothing are left out."""
    found = []
    while text:
        name = next((each for each in sorted(_NAMED, key=len, reverse=True) if text.startswith(each)), None)
        if name == "\x1b" and text[1:2] in ("[", "O"):
            end = next((n for n, char in enumerate(text[2:], 3) if char.isalpha() or char == "~"), len(text))
            text = text[end:]
            continue
        found.append(text[0] if name is None else _NAMED[name])
        text = text[len(name or text[0]) :]
    return found


class Keys:
    """While it is entered, keys come as they are pressed, and are not shown.

    Args:
        descriptor: of the terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> Keys:
        self._before = termios.tcgetattr(self._descriptor)
        tty.setraw(self._descriptor, termios.TCSADRAIN)
        after = termios.tcgetattr(self._descriptor)
        after[1] |= termios.OPOST  # what is drawn has line ends
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, after)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def wait(self, seconds: float, wake: int) -> list[str]:
        """Return the keys that are pressed within so many seconds; none once ``wake`` can be read, too.

        A terminal that has gone away is as an interrupt.
        """
        ready, _, _ = select.select([self._descriptor, wake], [], [], seconds)
        if wake in ready:
            os.read(wake, 4096)
        if self._descriptor not in ready:
            return []
        try:
            data = os.read(self._descriptor, 1024)
        except OSError:
            data = b""
        return split(data.decode("utf-8", "replace")) if data else ["interrupt"]
