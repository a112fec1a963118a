"""What somebody looks at in ``anyjob top``, and what keys do to that: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

FILTERS = ("all", "open", "running", "failed")
"""Which jobs are listed, in the order of the key that goes through them."""
SORTS = ("newest", "oldest", "name", "state")
HELP = "q quit f filter s sort / search c cancel h hold u release r rerun ↑↓ select"
"""Narrow, and with what nobody guesses first: 80 columns cut off what is behind `rerun`."""
_ASK = {"c": "cancel", "r": "rerun"}
_AT_ONCE = {"h": "hold", "u": "release"}


class View(NamedTuple):
    """What is looked at.

    Args:
        filter: one of `FILTERS`.
        sort: one of `SORTS`.
        search: words, all of which a job's line has.
        typing: whether keys are words of the search now.
        selected: the id of the job that is looked at closely; empty for the first.
        asks: what is to be done with it once somebody says yes; empty for nothing.
        said: what was done, or went wrong.
        ended: whether somebody wants to leave.
        stopped: whether somebody wants the shell meanwhile.
    """

    filter: str = "all"
    sort: str = "newest"
    search: str = ""
    typing: bool = False
    selected: str = ""
    asks: str = ""
    said: str = ""
    ended: bool = False
    stopped: bool = False


class Action(NamedTuple):
    """Something to be done with a job: ``cancel``, ``rerun``, ``hold`` or ``release``."""

    what: str
    job_id: str


def press(view: View, key: str, listed: Sequence[str], page: int = 10) -> tuple[View, Action | None]:
    """Return what is looked at after a key, and what is to be done.

    Args:
        view: what is looked at.
        key: a character, or ``up``, ``down``, ``pageup``, ``pagedown``, ``home``, ``end``, ``enter``,
            ``escape``, ``backspace``, ``interrupt``, ``stop``.
        listed: the ids of the jobs that are listed, from above.
        page: how many are seen at a time.
    """
    if key == "interrupt":
        return view._replace(ended=True), None
    if key == "stop":
        return view._replace(stopped=True), None
    if view.typing:
        return _type(view, key), None
    if view.asks:
        what, view = view.asks, view._replace(asks="", said="")
        return view, Action(what, view.selected) if key in ("y", "Y") else None
    view = view._replace(said="")
    if key in ("q", "Q", "escape"):
        return view._replace(ended=True), None
    steps = {
        "up": -1,
        "k": -1,
        "down": 1,
        "j": 1,
        "pageup": -page,
        "pagedown": page,
        "home": -(10**9),
        "end": 10**9,
    }
    if key in steps:
        return _move(view, steps[key], listed), None
    if key == "f":
        return view._replace(filter=_next(FILTERS, view.filter), selected=""), None
    if key == "s":
        return view._replace(sort=_next(SORTS, view.sort)), None
    if key == "/":
        return view._replace(typing=True, search=""), None
    if key in _ASK and listed:
        # Meanwhile another one may have come to be the first: what was asked about is what is meant.
        return view._replace(asks=_ASK[key], selected=listed[_at(view, listed)]), None
    if key in _AT_ONCE and listed:
        return view, Action(_AT_ONCE[key], listed[_at(view, listed)])
    return view, None


def _type(view: View, key: str) -> View:
    if key == "enter":
        return view._replace(typing=False, selected="")
    if key == "escape":
        return view._replace(typing=False, search="")
    if key == "backspace":
        return view._replace(search=view.search[:-1])
    return view._replace(search=view.search + key) if len(key) == 1 and key.isprintable() else view


def _next(words: Sequence[str], word: str) -> str:
    return words[(words.index(word) + 1) % len(words)]


def _at(view: View, listed: Sequence[str]) -> int:
    return listed.index(view.selected) if view.selected in listed else 0


def _move(view: View, by: int, listed: Sequence[str]) -> View:
    if not listed:
        return view
    return view._replace(selected=listed[min(max(_at(view, listed) + by, 0), len(listed) - 1)])
