"""A dashboard that runs, and plain requests to it, as any program may make them."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What came back."""

    code: int
    headers: Mapping[str, str]
    text: str


class Dashboard:
    """A dashboard in a process of its own.

    Args:
        process: it; what it prints goes into a pipe.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.said = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"http://\S+", self.said)
        assert found, f"it printed no URL: {self.said!r}"
        self.url = found[0]
        self.address = urlsplit(self.url).netloc
        self.cookie = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)

    def ask(self, method: str, path: str, headers: Mapping[str, str] = {}, body: str | None = None) -> Answer:
        """Ask for something, with these headers and no other but Host."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()

    def enter(self) -> Mapping[str, str]:
        """Return the headers of a browser that has entered by the token."""
        if not self.cookie:
            answer = self.ask("GET", self.url.partition(self.address)[2])
            self.cookie = {key.lower(): value for key, value in answer.headers.items()}["set-cookie"]
        return {"Cookie": self.cookie.partition(";")[0], "Origin": f"http://{self.address}"}

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what a page is told."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request("GET", "/events", headers=dict(self.enter()))
            for line in connection.getresponse():
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))
        finally:
            connection.close()
