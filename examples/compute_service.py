"""A small compute service: what the tutorial "Write a backend" writes a backend for.

It has an interface of its own, over HTTP with JSON; requests carry ``Authorization: Bearer TOKEN``::

    POST /jobs                 run a program; answers {"id": …}; for a key that it has, with that job's id
        {"key": "…", "program": ["echo", "hello"], and, as wanted, "environment": {"NAME": "value"},
         "directory": "/tmp", "input": BASE64, "files": {"name": BASE64}, "seconds": 60}
        files are laid into COMPUTE_DIRECTORY/files
    GET  /jobs?ids=c-1,c-2     {"jobs": […]}: those that it knows, 500 at most; also by ?keys=…
    POST /jobs/cancel          {"ids": […]}; answers {"accepted": […]}
    GET  /jobs/c-1/output      bytes, at most a MiB; ?stream=stderr&offset=0
    GET  /jobs/c-1/artifacts/NAME    a file that the job has left in its directory, COMPUTE_DIRECTORY
    POST /webhooks             {"url": …}: gets a POST of {"changed": [{"id": …, "key": …}]} when jobs change
    POST /webhooks/remove      {"url": …}

A job is ``waiting``, ``active``, and then ``finished``, ``failed``, ``stopped`` or ``overtime``. The service
really runs the programs, as the user that has started it, and forgets them when it ends. It needs nothing
but the standard library.

    python examples/compute_service.py --listen 127.0.0.1:8642 --token-file TOKEN
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hmac
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

AT_ONCE = 500
"""How many jobs one question may be about."""
GRACE = 2.0
"""Seconds between the request to end and the end by force."""
OVER = ("finished", "failed", "stopped", "overtime")


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Job:
    """One program, and how far it is."""

    def __init__(self, job_id: str, order: dict[str, Any], home: Path) -> None:
        self.id = job_id
        self.key = str(order["key"])
        self.order = order
        self.home = home
        self.state = "waiting"
        self.ending = ""
        """What it is to be, once it has ended, since it was told to end."""
        self.process: subprocess.Popen[bytes] | None = None
        self.code: int | None = None
        self.message = ""
        self.started: float | None = None
        self.ended: float | None = None
        self.artifacts: list[str] = []
        """The names of the files that it has left."""

    def told(self) -> dict[str, Any]:
        """Return what the service says of it; ``code`` is negative where a signal has ended it."""
        return {
            "id": self.id,
            "key": self.key,
            "state": self.state,
            "code": self.code,
            "message": self.message,
            "started": self.started,
            "ended": self.ended,
            "artifacts": self.artifacts,
        }

    def start(self) -> None:
        """Start the program in a session of its own, so that all that it starts can be ended with it.

        Raises:
            OSError: it cannot be started.
        """
        files = self.order.get("files", {})
        if files:
            (self.home / "files").mkdir()
        for name, content in files.items():
            (self.home / "files" / Path(name).name).write_bytes(base64.b64decode(content))
        given = Path(os.devnull)
        if self.order.get("input"):
            given = self.home / ".input"
            given.write_bytes(base64.b64decode(self.order["input"]))
        own = {"COMPUTE_DIRECTORY": str(self.home)}
        with (
            open(given, "rb") as stdin,
            open(self.home / ".stdout", "wb") as stdout,
            open(self.home / ".stderr", "wb") as stderr,
        ):
            self.process = subprocess.Popen(
                self.order["program"],
                cwd=self.order.get("directory") or self.home,
                env={**os.environ, **own, **self.order.get("environment", {})},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, as long as it was not reaped, and to all that it has started."""
        if self.process is not None:
            os.killpg(self.process.pid, number)

    def reap(self) -> None:
        """Take note of the program's end; what is left of one that was to end goes with it."""
        if self.process is not None:
            if self.ending:
                self.signal(signal.SIGKILL)
            self.code = self.process.wait()
            self.process = None
        self.ended = time.time()
        self.artifacts = [path.name for path in self.home.glob("[!.]*") if path.is_file()]
        self.state = self.ending or ("finished" if self.code == 0 else "failed")


class ComputeService:
    """The service, running from ``with`` to its end.

    Args:
        token: what requests must carry.
        address: where to listen; port 0 takes a free one.
        slots: how many programs run at a time.

    Attributes:
        maintenance: while it is set, every request is answered by 503. For tests, as the next two.
        refuse_next: the next new job is refused.
        lose_next_answer: the next new job is taken, and the connection breaks before that is said.
    """

    def __init__(self, token: str, address: tuple[str, int] = ("127.0.0.1", 0), slots: int = 4) -> None:
        self.token = token
        self.maintenance = self.refuse_next = self.lose_next_answer = False
        self._jobs: dict[str, Job] = {}
        self._by_key: dict[str, Job] = {}
        self._guard = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._changed: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._webhooks: set[str] = set()
        self._home = Path(tempfile.mkdtemp(prefix="compute-service-"))
        self._server = _Server(address, _Request, self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        for work in [self._serve, self._tell, *[self._run] * slots]:
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what runs, and the service."""
        self._server.shutdown()
        self._server.server_close()
        for job in list(self._jobs.values()):
            self._signal(job, signal.SIGKILL)
        shutil.rmtree(self._home, ignore_errors=True)

    def forget(self, job_id: str) -> None:
        """Know nothing of a job any more."""
        with self._guard:
            self._by_key.pop(self._jobs.pop(job_id).key)

    # --- what it is asked ---------------------------------------------------------------------

    def submit(self, order: dict[str, Any]) -> str:
        """Take a job, or find that it was taken before; return its id."""
        program = order.get("program")
        if not isinstance(program, list) or not program or not isinstance(order.get("key"), str):
            raise Refusal(HTTPStatus.BAD_REQUEST, "a job needs a key and a program")
        if not isinstance(order.get("seconds"), int | float | None):
            raise Refusal(HTTPStatus.BAD_REQUEST, "seconds are a number")
        with self._guard:
            known = self._by_key.get(order["key"])
            if known is not None:
                return known.id
            if self.refuse_next:
                self.refuse_next = False
                raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "your account is used up")
            job_id = f"c-{next(self._numbers)}"
            job = Job(job_id, order, self._home / job_id)
            self._jobs[job_id] = self._by_key[job.key] = job
        job.home.mkdir()
        self._waiting.put(job)
        if self.lose_next_answer:
            self.lose_next_answer = False
            raise ConnectionResetError
        return job_id

    def jobs(self, ids: list[str], keys: list[str]) -> list[dict[str, Any]]:
        """Say where those jobs are that it knows of."""
        if len(ids) + len(keys) > AT_ONCE:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"at most {AT_ONCE} jobs at a time")
        with self._guard:
            found = [self._jobs.get(job_id) for job_id in ids] + [self._by_key.get(key) for key in keys]
            return [job.told() for job in found if job is not None]

    def cancel(self, ids: list[str]) -> list[str]:
        """End jobs; return the ids of those that had not ended."""
        with self._guard:
            jobs = [self._jobs[job_id] for job_id in ids if job_id in self._jobs]
        return [job.id for job in jobs if self._end(job, "stopped")]

    def file(self, job_id: str, name: str, offset: int = 0, size: int = -1) -> bytes:
        """Read from a file in the directory of a job; nothing where it is not there yet."""
        with self._guard:
            job = self._jobs.get(job_id)
        if job is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no job {job_id}")
        try:
            with open(job.home / Path(name).name, "rb") as stream:
                stream.seek(offset)
                return stream.read(size)
        except FileNotFoundError:
            return b""

    def webhook(self, url: str, wanted: bool) -> None:
        """Tell of changes to this address from now on, or no more."""
        (self._webhooks.add if wanted else self._webhooks.discard)(url)

    # --- what it does -------------------------------------------------------------------------

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def _run(self) -> None:
        """Run one job after the other."""
        while True:
            job = self._waiting.get()
            with self._guard:
                if job.state != "waiting":
                    continue
                job.started = time.time()
                job.state = "active"
                try:
                    job.start()
                except Exception as error:  # of whatever makes no sense in the order
                    job.code, job.message = 127, str(error)
            self._changed.put(job)
            self._wait(job)

    def _wait(self, job: Job) -> None:
        overtime = _later(job.order.get("seconds"), self._end, job, "overtime")
        if job.process is not None:
            # It is reaped later, under the guard: until then its pid is nobody else's.
            os.waitid(os.P_PID, job.process.pid, os.WEXITED | os.WNOWAIT)
        overtime.cancel()
        with self._guard:
            job.reap()
        self._changed.put(job)

    def _end(self, job: Job, state: str) -> bool:
        with self._guard:
            if job.state in OVER:
                return False
            if job.state == "waiting":
                job.state, job.ended = state, time.time()
                self._changed.put(job)
                return True
            job.ending = job.ending or state
            job.signal(signal.SIGTERM)
        _later(GRACE, self._signal, job, signal.SIGKILL)
        return True

    def _signal(self, job: Job, number: signal.Signals) -> None:
        with self._guard:
            job.signal(number)

    def _tell(self) -> None:
        """Tell the webhooks of what has changed since they were told last."""
        while True:
            changed = [self._changed.get()]
            with contextlib.suppress(queue.Empty):
                while True:
                    changed.append(self._changed.get_nowait())
            body = json.dumps({"changed": [{"id": job.id, "key": job.key} for job in changed]}).encode()
            for url in list(self._webhooks):
                try:
                    urllib.request.urlopen(url, body, timeout=5).close()
                except OSError:
                    self._webhooks.discard(url)  # nobody is there any more


def _later(seconds: float | None, call: Callable[..., Any], *arguments: Any) -> threading.Timer:
    """Call after some seconds; None: never."""
    timer = threading.Timer(seconds or 0, call, arguments)
    timer.daemon = True
    if seconds is not None:
        timer.start()
    return timer


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[_Request], service: ComputeService) -> None:
        self.service = service
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, find: Any) -> None:
        try:
            self._admit()
            status, found = HTTPStatus.OK, find()
        except Refusal as refusal:
            status, found = refusal.status, {"error": str(refusal)}
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            status, found = HTTPStatus.BAD_REQUEST, {"error": f"this makes no sense: {error!r}"}
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _admit(self) -> None:
        if self.server.service.maintenance:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "down for maintenance")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.server.service.token.encode()):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "this token is not known")

    def _get(self) -> Any:
        service = self.server.service
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        match url.path.split("/")[1:]:
            case ["jobs"]:
                wanted = [query.get(name, "").split(",") for name in ("ids", "keys")]
                ids, keys = ([each for each in some if each] for some in wanted)
                return {"jobs": service.jobs(ids, keys)}
            case ["jobs", job_id, "output"]:
                stream = "stderr" if query.get("stream") == "stderr" else "stdout"
                return service.file(job_id, f".{stream}", int(query.get("offset", 0)), 1 << 20)
            case ["jobs", job_id, "artifacts", name]:
                return service.file(job_id, urllib.parse.unquote(name))
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {url.path}")

    def _post(self) -> Any:
        service = self.server.service
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        match self.path:
            case "/jobs":
                return {"id": service.submit(body)}
            case "/jobs/cancel":
                return {"accepted": service.cancel(body["ids"])}
            case "/webhooks" | "/webhooks/remove":
                return service.webhook(body["url"], wanted=self.path == "/webhooks")
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {self.path}")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is logged."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A small compute service.")
    parser.add_argument("--listen", default="127.0.0.1:8642", metavar="HOST:PORT")
    parser.add_argument("--token-file", type=Path, required=True, metavar="FILE")
    parser.add_argument("--slots", type=int, default=4)
    given = parser.parse_args()
    host, _, port = given.listen.rpartition(":")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ComputeService(given.token_file.read_text().strip(), (host, int(port)), given.slots) as service:
        print(f"serving on {service.url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
