"""What completes values at a shell: of backends, jobs, states, tags, columns, and files.

None of it imports a plugin, asks a backend, or fails: nothing is to be said into a line that is being typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from anyjob.ledger.rows import Row
    from anyjob.ledger.store import Ledger

    Words = Callable[[str], Iterable[str | tuple[str, str]]]
    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]

NEWEST = 100
"""Jobs, names and tags that are looked at, the newest first."""


def _completes(words: Words) -> Completer:
    """Make a completer of a function that gives words, each with what is said of it or without."""

    @wraps(words)
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        try:
            pairs = [(each, "") if isinstance(each, str) else each for each in words(incomplete)]
        except Exception:  # half a configuration, say, or a ledger of another version
            return []
        found = {word: said for word, said in pairs if word.startswith(incomplete) and word.isprintable()}
        return [CompletionItem(word, help=said or None) for word, said in found.items()]

    return complete


def _last_of_list(incomplete: str, words: Iterable[str]) -> Iterator[str]:
    """Yield words for the last place of a list with commas."""
    before, comma, _ = incomplete.rpartition(",")
    return (before + comma + word for word in words)


# --- files ----------------------------------------------------------------------------------------


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Have the shell complete the name of a file."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def directories(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Have the shell complete the name of a directory."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


# --- what is configured and installed ---------------------------------------------------------------


@_completes
def backend_names(incomplete: str) -> Iterable[str]:
    """Complete the name of a backend."""
    from anyjob.session.default import default_session

    session = default_session()
    return [*session.config.backends, *session.registry.names("anyjob.backends", hooks=False)]


@_completes
def job_types(incomplete: str) -> Iterable[str]:
    """Complete the name of a kind of work."""
    from anyjob.session.default import default_session

    return default_session().registry.names("anyjob.job_types", hooks=False)


@_completes
def column_names(incomplete: str) -> Iterable[str]:
    """Complete the columns of ``anyjob jobs``."""
    from anyjob.cli.jobs.columns import COLUMNS

    return _last_of_list(incomplete, COLUMNS)


@_completes
def states(incomplete: str) -> Iterable[str]:
    """Complete a state, or the name of several."""
    from anyjob.session.jobs.filters import STATE_WORDS

    upper = incomplete.rpartition(",")[2][:1].isupper()
    return _last_of_list(incomplete, STATE_WORDS if upper else [word.lower() for word in STATE_WORDS])


# --- what is in the ledger ------------------------------------------------------------------------


def _ledger() -> Ledger | None:
    from anyjob.session.default import default_session

    ledger = default_session().ledger
    return ledger if ledger.exists else None


def _jobs(incomplete: str, rows: Callable[[Ledger], list[Row]]) -> Iterator[tuple[str, str]]:
    from anyjob.cli.jobs.columns import work
    from anyjob.cli.jobs.job_ids import abbreviations

    ledger = _ledger()
    if ledger is None:
        return
    found = rows(ledger)[::-1]
    if not any(row.job_id.startswith(incomplete) or row.name.startswith(incomplete) for row in found):
        older = ledger.by_prefix(incomplete, NEWEST)
        found = list(ledger.rows(older).values())
    ids = [row.job_id for row in found]
    what, short = ledger.summaries(ids), abbreviations(ledger, ids)
    for row in found:
        if row.name:
            yield row.name, f"{row.status.name} job of this name"
    for row in found:
        said = work(what[row.job_id]) if row.job_id in what else row.kind
        value = row.job_id if len(incomplete) > len(short[row.job_id]) else short[row.job_id]
        yield value, f"{row.status.name} {said}"


@_completes
def job_ids(incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete the id or the name of a job."""
    return _jobs(incomplete, lambda ledger: ledger.select(limit=NEWEST))


@_completes
def open_job_ids(incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete the id or the name of a job that has not ended."""
    from anyjob.session.jobs.filters import OPEN

    return _jobs(incomplete, lambda ledger: ledger.select(states=OPEN, limit=NEWEST))


@_completes
def job_names(incomplete: str) -> Iterable[str]:
    """Complete the name of jobs."""
    ledger = _ledger()
    return [] if ledger is None else ledger.names(NEWEST)


@_completes
def job_tags(incomplete: str) -> Iterable[str]:
    """Complete a tag of jobs: ``KEY=VALUE``."""
    ledger = _ledger()
    return [] if ledger is None else [f"{key}={value}" for key, value in ledger.known_tags(NEWEST)]
