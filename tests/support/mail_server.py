"""A mail server for tests: takes all mails but those to ``nobody@…``, knows ``me``, and may be full."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Mailbox:
    """What was delivered is in ``mails``: whom to, and the text; in ``encrypted`` whether it came so."""

    def __init__(self, *, full: bool) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.encrypted: list[bool] = []
        self.full = full
        self.address = ""

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take a recipient."""
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a mail."""
        if self.full:
            return "452 the disk is full"
        self.mails.append((envelope.rcpt_tos, envelope.content.decode()))
        self.encrypted.append(
            session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None
        )
        return "250 taken"


def _knows(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    from aiosmtpd.smtp import AuthResult

    return AuthResult(success=(data.login, data.password) == (b"me", b"hush"), handled=False)


@contextmanager
def mail_server(
    *, full: bool = False, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None
) -> Iterator[Mailbox]:
    """Run one: it speaks TLS from the start, or once it is asked to, or not at all."""
    pytest.importorskip("aiosmtpd")
    from aiosmtpd.smtp import SMTP

    mailbox = Mailbox(full=full)

    def speak() -> SMTP:
        return SMTP(
            mailbox,
            hostname="localhost",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=_knows,
            auth_require_tls=False,
            auth_exclude_mechanism=["LOGIN"],
        )

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(speak, "127.0.0.1", 0, ssl=tls))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        mailbox.address = f"localhost:{server.sockets[0].getsockname()[1]}"
        yield mailbox
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(_end_connections())
        loop.close()


async def _end_connections() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Authority:
    """One that signs certificates of mail servers; its own is in the file ``path``."""

    def __init__(self, directory: Path) -> None:
        trustme = pytest.importorskip("trustme")
        self._authority = trustme.CA()
        self.path = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(self.path)

    def context_of(self, host: str) -> ssl.SSLContext:
        """Return what a server of that name shows who it is by."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        return context
