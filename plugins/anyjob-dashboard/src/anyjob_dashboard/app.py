"""What the page asks for, by its paths."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from anyjob import AnyjobError, Session
from anyjob.sdk import LiveView
from anyjob_dashboard.access import Guard, Keys
from anyjob_dashboard.actions import act
from anyjob_dashboard.feed import Feed, updates

STATIC = Path(__file__).parent / "static"
LONGEST = 1 << 20
"""Bytes of a part of a log, and of what a page asks to be done."""


def make_app(session: Session, keys: Keys, limit: int) -> Guard:
    """Return the application.

    Args:
        session: whose jobs.
        keys: what it takes to get in.
        limit: how many jobs are listed at most.
    """
    return Guard(Pages(session, LiveView(session, limit)).app, keys)


class Pages:
    """Answers what the page asks for.

    Args:
        session: by which something is done.
        view: by which it is read.
    """

    def __init__(self, session: Session, view: LiveView) -> None:
        self._session, self._view = session, view
        self._feed = Feed(view)
        routes = [
            Route("/", self._page),
            Route("/events", self._events),
            Route("/jobs/{job_id}", self._details),
            Route("/jobs/{job_id}/log", self._log),
            Route("/jobs/{job_id}/graph", self._graph),
            Route("/backends", self._backends),
            Route("/actions", self._act, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        self.app = Starlette(routes=routes, exception_handlers={AnyjobError: _told})

    async def _page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def _events(self, request: Request) -> Response:
        return StreamingResponse(_as_events(self._feed), media_type="text/event-stream")

    async def _details(self, request: Request) -> Response:
        return _found(await asyncio.to_thread(self._view.details, request.path_params["job_id"]))

    async def _graph(self, request: Request) -> Response:
        return _found(await asyncio.to_thread(self._view.graph, request.path_params["job_id"]))

    async def _backends(self, request: Request) -> Response:
        return _json(await asyncio.to_thread(self._view.loads))

    async def _log(self, request: Request) -> Response:
        asked = request.query_params
        try:
            numbers = {name: int(asked[name]) for name in ("begin", "size") if name in asked}
        except ValueError:
            return _wrong("begin and size are whole numbers of bytes")
        if not all(0 <= number < 1 << 62 for number in numbers.values()) or numbers.get("size", 0) > LONGEST:
            return _wrong(f"begin is 0 or more, and size {LONGEST} at most")
        stream, job_id = asked.get("stream", "stdout"), request.path_params["job_id"]
        return _found(await asyncio.to_thread(self._view.log, job_id, stream, **numbers))

    async def _act(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST:
                return _wrong(f"{LONGEST} bytes at most")
        try:
            wanted = json.loads(body)
            action, ids = str(wanted["action"]), [str(each) for each in wanted["jobs"]]
            said = await asyncio.to_thread(act, self._session, action, ids)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            return _wrong(f'say {{"action": …, "jobs": […]}}: {error}')
        return _json({"said": said})


def _found(found: Any) -> Response:
    return _wrong("there is no such job", 404) if found is None else _json(found)


def _json(value: Any, code: int = 200) -> Response:
    return Response(json.dumps(value), code, media_type="application/json")


def _wrong(why: str, code: int = 400) -> Response:
    return _json({"said": why}, code)


async def _told(request: Request, error: Exception) -> Response:
    return _wrong(str(error), 409)


async def _as_events(feed: Feed) -> AsyncIterator[str]:
    async for update in updates(feed):
        yield ":\n\n" if update is None else f"data: {json.dumps(update, separators=(',', ':'))}\n\n"
