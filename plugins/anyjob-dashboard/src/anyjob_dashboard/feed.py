"""What all open pages hear of: read once for all of them, when something has changed, while one is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from anyjob import AnyjobError
from anyjob.sdk import LiveView

EVERY = 0.2
"""Seconds between two looks whether anything has changed."""
FIRST = 200
"""Jobs that a page gets at once: more than fit on it."""
SHARE = 4.0
"""As many times what reading takes passes before it is read again: jobs have the rest of the processor."""
COUNT_SHARE = 20.0
"""The same of counting all jobs, which takes longest where there are a million."""
ASK_EVERY = 5.0
"""Seconds between two questions to the backends about jobs that have not ended, at least."""
LATEST = 2.0
"""Seconds that pass at most, however long reading took: the machine may have been busy."""
PATIENCE = 15.0
"""Seconds after which a page is told that nothing has changed: so it is noticed when it has gone away."""


class Seen(NamedTuple):
    """What there was to see.

    Args:
        number: how often something was read.
        jobs: the newest jobs by id.
        counts: how many jobs there are in each state; None as long as they have not been counted.
        trouble: why it could not be read; empty where it could.
    """

    number: int
    jobs: Mapping[str, Mapping[str, Any]]
    counts: Mapping[str, int] | None
    trouble: str = ""


class Feed:
    """Reads while somebody listens.

    Args:
        view: what is read.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._seen = Seen(0, {}, None)
        self._news = asyncio.Event()
        self._old = 0  # what was read before nobody listened is not news
        self._listeners = 0
        self._reader: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._is_counted, self._count_due = False, 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While it is entered, somebody listens."""
        self._listeners += 1
        if self._reader is None or self._reader.done():
            self._old = self._seen.number
            self._reader = asyncio.create_task(self._read_on())
        try:
            yield
        finally:
            self._listeners -= 1

    async def newer(self, than: int) -> Seen | None:
        """Return what there is to see once it is newer than that number; None where it stays as it is."""
        if self._seen.number <= max(than, self._old):
            try:
                await asyncio.wait_for(self._news.wait(), PATIENCE)
            except TimeoutError:
                return None
        return self._seen

    async def _read_on(self) -> None:
        missed = True  # while nobody listened
        while self._listeners:
            began, took = time.monotonic(), 0.0
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
            try:
                if self._view.changed() or missed:  # no thread: it takes less than one to wake up
                    if not self._seen.number:  # whoever opens the page need not wait for the rest
                        self._tell(self._seen._replace(jobs=await asyncio.to_thread(self._view.jobs, FIRST)))
                    jobs = await asyncio.to_thread(self._view.jobs)
                    took = time.monotonic() - began
                    self._is_counted = False
                    counts = await self._count() if self._is_count_due else self._seen.counts
                    self._tell(Seen(0, jobs, counts))
                elif self._is_count_due:
                    self._tell(self._seen._replace(counts=await self._count()))
                missed = False
            except Exception as error:  # it is tried again; meanwhile what was read before is shown
                missed, took = True, time.monotonic() - began
                trouble = str(error) if isinstance(error, AnyjobError) else f"{type(error).__name__}: {error}"
                if trouble != self._seen.trouble:
                    self._tell(self._seen._replace(trouble=trouble))
            await asyncio.sleep(min(max(EVERY, SHARE * took), LATEST))

    async def _ask(self) -> None:
        with suppress(Exception):  # an engine is away; what is known of its jobs is shown meanwhile
            await asyncio.to_thread(self._view.ask)
        await asyncio.sleep(ASK_EVERY)

    @property
    def _is_count_due(self) -> bool:
        return not self._is_counted and time.monotonic() >= self._count_due

    async def _count(self) -> Mapping[str, int]:
        began = time.monotonic()
        counts = await asyncio.to_thread(self._view.counts)
        self._is_counted = True
        ended = time.monotonic()
        self._count_due = ended + COUNT_SHARE * (ended - began)
        return counts

    def _tell(self, seen: Seen) -> None:
        self._seen = seen._replace(number=self._seen.number + 1)
        self._news.set()
        self._news = asyncio.Event()


MANY = 2000
"""Jobs that it gets at a time after these."""


async def updates(feed: Feed) -> AsyncIterator[dict[str, Any] | None]:
    """Yield for one page what is new to it, as long as it stays; None where nothing is."""
    number, sent = 0, dict[str, Mapping[str, Any]]()
    with feed.listening():
        while True:
            seen = await feed.newer(number)
            if seen is None:
                yield None
                continue
            number = seen.number
            changed = [job for job_id, job in seen.jobs.items() if sent.get(job_id) is not job]
            gone = [job_id for job_id in sent if job_id not in seen.jobs]
            sent = dict(seen.jobs)
            told = {"counts": seen.counts, "gone": gone, "trouble": seen.trouble, "now": time.time()}
            for begin, end in _slices(len(changed)):
                yield {**told, "jobs": changed[begin:end], "more": end < len(changed)}
                told["gone"] = []


def _slices(count: int) -> Iterator[tuple[int, int]]:
    yield 0, min(FIRST, count)
    for begin in range(FIRST, count, MANY):
        yield begin, min(begin + MANY, count)
