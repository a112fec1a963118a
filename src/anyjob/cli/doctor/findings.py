"""What the doctor finds: a line of a section, and whether something is wrong with it."""

from __future__ import annotations

from typing import NamedTuple

OK, WARNING, PROBLEM = "", "warning", "problem"


class Finding(NamedTuple):
    """One thing that was looked at.

    Args:
        section: what it belongs to.
        what: what was looked at.
        value: what was found, in words.
        state: empty, or ``warning``, or ``problem``.
        way_out: what to do about it.
    """

    section: str
    what: str
    value: str
    state: str = OK
    way_out: str = ""
