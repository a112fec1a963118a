"""``anyjob limit``: how many jobs of a name, or with a tag, run at a time."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import NEWEST, backend_names, job_tags
from anyjob.cli.context import open_session
from anyjob.cli.terminal.output import print_message, write_json, write_line
from anyjob.text.suggestions import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob.session.facade import Session


@click.command(
    epilog="""\b
Examples:
  anyjob limit fit 3
  anyjob limit --tag study=a 2
  anyjob limit fit none
  anyjob limit fit
  anyjob limit"""
)
@click.argument("words", nargs=-1, metavar="[NAME] [N|none]")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    help="Limit jobs with this tag.",
    shell_complete=job_tags,
)
@click.option("-b", "--backend", metavar="NAME", help="On this backend.", shell_complete=backend_names)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def limit(words: tuple[str, ...], tags: tuple[str, ...], backend: str | None, as_json: bool) -> None:
    """Limit how many jobs of a name, or with a tag, run at a time; without N, show the limits.

    A limit also holds for jobs that wait already, until it is changed; running jobs go on. `none` lifts it.
    """
    from anyjob.cli.terminal.values import parse_pairs
    from anyjob.resources import tag_label

    of_tags = parse_pairs(tags, "--tag")
    name, number = _read(words, bool(tags))
    with open_session() as session:
        found: Mapping[str, int]
        if number is None:
            found = getattr(session.get_backend(backend), "limits_now", dict)()
            asked = {name, *(tag_label(key, value) for key, value in of_tags.items())} - {""}
            found = {label: most for label, most in found.items() if label in asked or not asked}
        else:
            most = None if number == "none" else _count(number)
            found = session.limit(name, most, tags=of_tags, backend=backend)
            if most is not None:
                _tell_of_unknown(session, name, of_tags)
    if as_json:
        write_json(dict(found))
    else:
        for label, most in sorted(found.items()):
            write_line(f"{label}: {most} at a time")
        if not found:
            write_line("no limits")
    sys.exit(exit_codes.OK)


def _tell_of_unknown(session: Session, name: str, tags: Mapping[str, str]) -> None:
    """Say where there is no job yet that a limit is for: it may be meant so, or be misspelt."""
    if name and not session.jobs(name=name, limit=1, superseded=True):
        near = nearest(name, session.ledger.names(NEWEST))
        meant = f"; did you mean {near!r}?" if near else ", it holds for those that come"
        print_message(f"no job is called {name!r} yet{meant}")
    for key, value in tags.items():
        if not session.jobs(tags={key: value}, limit=1, superseded=True):
            print_message(f"no job has the tag {key}={value} yet, it holds for those that come")


def _read(words: tuple[str, ...], has_tags: bool) -> tuple[str, str | None]:
    """Return the name, and how many: None where that is asked for."""
    is_number = bool(words) and (words[-1] == "none" or words[-1].isdigit())
    if len(words) > 2 or (len(words) == 2 and not words[0]):
        raise click.UsageError("limit takes a name, or --tag KEY=VALUE, and how many: anyjob limit fit 3")
    if len(words) == 2 or (has_tags and is_number):
        return ("" if len(words) == 1 else words[0]), words[-1]
    if is_number:
        raise click.UsageError(f"limit of what? Give a name, or --tag KEY=VALUE: anyjob limit fit {words[0]}")
    return (words[0] if words else ""), None


def _count(text: str) -> int:
    if not text.isdigit():
        raise click.UsageError(f"limit takes a whole number or `none`, not {text!r}")
    return int(text)
