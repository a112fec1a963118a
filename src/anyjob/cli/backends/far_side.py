"""What the machines of backends have themselves: as they have said last, or say when they are asked."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from anyjob.cli.terminal.output import print_message
from anyjob.errors import AnyjobError
from anyjob.remote.near.noted_offers import noted
from anyjob.session.facade import Session
from anyjob.text.amounts import age


def ask_machines(session: Session, seconds: float) -> None:
    """Ask the machines of all configured backends that have one, at once; one that does not answer is named.

    Args:
        session: where they are configured.
        seconds: how long each may take.
    """
    from anyjob.session.providers.offers import at_once

    asked: dict[str, Any] = {}
    for name in session.config.backends:
        with suppress(AnyjobError):  # of one that cannot be made nothing is told
            backend = session.get_backend(name)
            if hasattr(backend, "hello"):
                asked[name] = backend
    for name, answer in at_once(lambda name: asked[name].hello(), asked, seconds).items():
        if isinstance(answer, Exception):
            print_message(f"warning: {name}: {answer}")


def noted_there(session: Session, line: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the machine of a line of the listing has said last; None where it has said nothing."""
    found = noted(session.ledger.state, line["name"]) if line["configured"] else None
    return None if found is None or found.type != line["type"] else found._asdict()


def rows_of(line: dict[str, Any]) -> list[list[str]]:
    """Return the rows of a table for what the machine of a line has: the one that is used first."""
    there = line.get("there") or {"types": {}}
    return [
        [
            f"{line['name']}: {name}",
            kind,
            "",
            f"{there['host']}, {age(there['when'])} ago",
            "used" if name == there["used"] else "",
        ]
        for name, kind in there["types"].items()
    ]


def offers_there(session: Session, name: str) -> list[dict[str, Any]]:
    """What a backend of another machine tells of those that this one has, the one that is used first."""
    ask: Any = dict
    with suppress(AnyjobError):  # of one that cannot be made nothing is told
        ask = getattr(session.get_backend(name), "offers", dict)
    try:
        offers = ask()
    except AnyjobError as error:
        return [{"name": "", "type": "", "problem": str(error), "accepts": [], "can": []}]
    return [
        {"name": there, "type": each.type, "problem": each.problem, "accepts": each.accepts, "can": each.can}
        for there, each in offers.items()
    ]
