"""A mail server for tests: takes all mails but those to ``nobody@…``, knows ``me``, and may be full."""

from __future__ import annotations

import socketserver
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager


class MailServer(socketserver.ThreadingTCPServer):
    """What was delivered is in ``mails``: whom to, and the text."""

    daemon_threads = True

    def __init__(self, *, full: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Dialogue)
        self.mails: list[tuple[list[str], str]] = []
        self.full = full

    @property
    def address(self) -> str:
        """Where it is."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Dialogue(socketserver.StreamRequestHandler):
    server: MailServer

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self._say("220 ready")
        recipients: list[str] = []
        while line := self.rfile.readline().decode().strip():
            word = line[:4].upper()
            if word == "EHLO":
                self._say("250-here")
                self._say("250 AUTH PLAIN")
            elif word == "AUTH":
                said = b64decode(line.rpartition(" ")[2]).decode()
                self._say("235 welcome" if said == "\0me\0hush" else "535 who are you?")
            elif word == "RCPT" and "nobody@" in line:
                self._say("550 no such user")
            elif word == "RCPT":
                recipients.append(line.partition("<")[2].partition(">")[0])
                self._say("250 ok")
            elif word == "DATA" and self.server.full:
                self._say("452 the disk is full")
            elif word == "DATA":
                self._say("354 go on")
                text = "".join(iter(lambda: self.rfile.readline().decode(), ".\r\n"))
                self.server.mails.append((recipients, text))
                self._say("250 taken")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")


@contextmanager
def mail_server(*, full: bool = False) -> Iterator[MailServer]:
    """Run one."""
    with MailServer(full=full) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
