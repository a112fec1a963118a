"""A web service that runs work for its users, each with an anyjob session of their own.

The configuration comes from the service's own source (users.json, beside this file), not from anyjob's files
and variables; the two users' sessions live side by side, and nothing global is touched. Where a user's
work runs is a line of that user's configuration: both name their backend "fast", and mean different ones.

    python examples/embedding/service.py --port 8000
    curl -H 'Authorization: Bearer a-token-of-alice' -d '{"below": 100000}' http://127.0.0.1:8000/jobs
    curl -H 'Authorization: Bearer a-token-of-alice' http://127.0.0.1:8000/jobs/ID
    curl -H 'Authorization: Bearer a-token-of-alice' http://127.0.0.1:8000/jobs/ID/result

It speaks as much HTTP as this takes, on the loopback interface only. A real service would use a web
framework; what it does with anyjob would be the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyjob
from anyjob import Call, Config, Registry, Session

USERS = Path(__file__).with_name("users.json")
LONGEST_BODY = 65536

Answer = tuple[HTTPStatus, dict[str, Any]]


def count_primes(below: int) -> int:
    """The work that this service sells."""
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, below))


class User:
    """A user's session, and the jobs made in it."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.session = Session(config=Config.from_dict(configuration), registry=Registry())
        self.jobs: dict[str, Any] = {}


class Service:
    """Answers requests; knows nothing of sockets."""

    def __init__(self, users: dict[str, dict[str, Any]]) -> None:
        self._users = {user["token"]: User(user["anyjob"]) for user in users.values()}

    async def answer(self, method: str, path: str, token: str, body: bytes) -> Answer:
        """Answer one request."""
        user = self._users.get(token)
        if user is None:
            return HTTPStatus.UNAUTHORIZED, {"error": "send 'Authorization: Bearer TOKEN'"}
        match method, path.strip("/").split("/"):
            case "POST", ["jobs"]:
                return await self._submit(user, body)
            case "GET", ["jobs", job_id] if job_id in user.jobs:
                return await self._state(user.jobs[job_id])
            case "GET", ["jobs", job_id, "result"] if job_id in user.jobs:
                return await self._result(user.jobs[job_id])
        return HTTPStatus.NOT_FOUND, {"error": f"there is no {method} {path}"}

    async def _submit(self, user: User, body: bytes) -> Answer:
        try:
            below = int(json.loads(body)["below"])
        except (ValueError, KeyError, TypeError):
            return HTTPStatus.BAD_REQUEST, {"error": 'send {"below": NUMBER}'}
        job = await anyjob.aio.run(Call(count_primes, args=(below,)), session=user.session)
        user.jobs[job.job_id()] = job
        return HTTPStatus.CREATED, {"id": job.job_id(), "backend": type(job.backend()).__name__}

    async def _state(self, job: Any) -> Answer:
        status = await anyjob.aio.status(job)
        return HTTPStatus.OK, {"id": job.job_id(), "state": status.name}

    async def _result(self, job: Any) -> Answer:
        try:
            return HTTPStatus.OK, {"id": job.job_id(), "result": await job}
        except anyjob.AnyjobError as error:
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"id": job.job_id(), "error": str(error)}

    def close(self) -> None:
        """Close the users' sessions."""
        for user in self._users.values():
            user.session.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request from a connection, and write its answer."""
        try:
            method, path, _ = (await reader.readline()).decode("latin-1").split()
            headers = {}
            while line := (await reader.readline()).decode("latin-1").strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = await reader.readexactly(min(int(headers.get("content-length", 0)), LONGEST_BODY))
            token = headers.get("authorization", "").removeprefix("Bearer ")
            status, answer = await self.answer(method, path, token, body)
        except (ValueError, asyncio.IncompleteReadError):
            status, answer = HTTPStatus.BAD_REQUEST, {"error": "this is no HTTP request"}
        text = json.dumps(answer).encode() + b"\n"
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def main(port: int) -> None:
    """Serve until interrupted."""
    service = Service(json.loads(USERS.read_text(encoding="utf-8")))
    server = await asyncio.start_server(service.serve, "127.0.0.1", port)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    try:
        await server.serve_forever()
    finally:
        service.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free one")
    try:
        asyncio.run(main(parser.parse_args().port))
    except KeyboardInterrupt:
        pass
