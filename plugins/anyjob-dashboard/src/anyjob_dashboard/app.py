"""What the page asks for, by its paths."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from anyjob import Session
from anyjob.sdk import LiveView
from anyjob_dashboard.access import Guard, Keys
from anyjob_dashboard.feed import Feed, updates

STATIC = Path(__file__).parent / "static"


def make_app(session: Session, keys: Keys, limit: int) -> Guard:
    """Return the application.

    Args:
        session: whose jobs.
        keys: what it takes to get in.
        limit: how many jobs are listed at most.
    """
    feed = Feed(LiveView(session, limit))

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def events(request: Request) -> Response:
        return StreamingResponse(_as_events(feed), media_type="text/event-stream")

    routes = [
        Route("/", page),
        Route("/events", events),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Guard(Starlette(routes=routes), keys)


async def _as_events(feed: Feed) -> AsyncIterator[str]:
    async for update in updates(feed):
        yield ":\n\n" if update is None else f"data: {json.dumps(update, separators=(',', ':'))}\n\n"
