"""A message is sent by a channel: a webhook, a mail, a command, a note on the desktop."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from anyjob.config.notification_channels import Channel, address, trusted
from anyjob.errors import AnyjobError
from anyjob.notifications.message import Message
from anyjob.text.printable import printable, shortened

if TYPE_CHECKING:
    from email.message import EmailMessage
    from ssl import SSLContext

PATIENCE = 30.0
"""Seconds that a server has for each answer."""
LONGEST_ANSWER = 200
HOSTNAME_MISMATCH = 62
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH."""


class NotSent(AnyjobError):
    """A message was not sent.

    Attributes:
        again: whether it may be later.
    """

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


def send(channel: Channel, message: Message) -> None:
    """Send a message.

    Raises:
        NotSent: it was not taken.
        ConfigError: the address of a webhook is none, or a secret is not where it should be.
    """
    way = channel.ways[0]
    if way == "webhook":
        _post(address(channel, "webhook"), message, trusted(channel, "webhook"))
    elif way == "mail":
        _mail(channel, message)
    elif way == "command":
        given = channel.command or ""
        _run(["sh", "-c", given] if isinstance(given, str) else given, message.whole)
    else:
        _run(["notify-send", "--app-name=anyjob", "--", message.subject, _escaped(message.text)], "")


def _escaped(text: str) -> str:
    """Return text in which nothing is markup, nor a mention of everybody: `<!channel>`, to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _run(argv: list[str], text: str) -> None:
    try:
        # What it writes is the log of this job.
        done = subprocess.run(argv, input=os.fsencode(text + "\n"), check=False)
    except OSError as error:
        raise NotSent(f"{argv[0]} cannot be started: {error.strerror}", again=False) from error
    if done.returncode:
        raise NotSent(f"{argv[0]} ended with {done.returncode}", again=done.returncode == os.EX_TEMPFAIL)


# --- webhooks -------------------------------------------------------------------------------------


def _post(url: str, message: Message, trust: SSLContext) -> None:
    import json
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.parse import urlsplit
    from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

    class NoRedirects(HTTPRedirectHandler):
        """A redirect makes a GET of what was sent, so that nothing is: it is an error."""

        def redirect_request(self, *args: object) -> None:
            return None

    body = {"text": _escaped(message.whole), "subject": message.subject, **message.fields}
    request = Request(
        url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "User-Agent": "anyjob"},
    )
    where = f"the webhook at {urlsplit(url).hostname}"  # the rest of its address is secret
    try:
        with build_opener(NoRedirects, HTTPSHandler(context=trust)).open(request, timeout=PATIENCE) as answer:
            answer.read(1)
    except HTTPError as error:
        with error:
            said = error.read(4096).decode("utf-8", "replace").strip()
        for secret in (url, urlsplit(url).path, urlsplit(url).query):
            said = said.replace(secret, "…") if len(secret) > 1 else said
        told = f": {shortened(printable(said), LONGEST_ANSWER)}" if said else ""
        again = error.code >= 500 or error.code in (408, 429)
        raise NotSent(f"{where} answered {error.code} {error.reason}{told}", again=again) from None
    except URLError as error:
        if distrusted := _distrusted(where, error.reason):
            raise distrusted from None
        raise NotSent(f"{where} cannot be reached: {error.reason}", again=True) from None
    except (OSError, HTTPException) as error:
        raise NotSent(f"{where} did not answer: {type(error).__name__}", again=True) from None


def _distrusted(where: str, error: object) -> NotSent | None:
    """Return what is said of one whose certificate shows that it is another, or nobody that is known."""
    import ssl

    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    why = error.verify_message.rstrip(".")
    way_out = "name the host as its certificate does"
    if error.verify_code != HOSTNAME_MISMATCH:
        way_out = "if it is the right one, set `ca` to the file of the authority that has signed it"
    return NotSent(f"{where} is not trusted: {why}: {way_out}", again=False)


# --- mails ----------------------------------------------------------------------------------------


def _mail(channel: Channel, message: Message) -> None:
    import smtplib
    from email.message import EmailMessage
    from email.utils import formatdate, make_msgid

    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = channel.sender or channel.recipients[0]
    mail["To"] = ", ".join(channel.recipients)
    mail["Date"], mail["Message-ID"] = formatdate(localtime=True), make_msgid()
    mail["Auto-Submitted"] = "auto-generated"  # so that no absence note answers it
    mail.set_content(message.whole + "\n")
    where = f"the mail server {channel.smtp}"
    try:
        _deliver(channel, mail)
    except smtplib.SMTPNotSupportedError as error:
        raise NotSent(f"{where}: {error}", again=False) from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        refused = ", ".join(map(str, error.recipients))
        raise NotSent(f"{where} refuses {refused}", again=min(codes) < 500) from None
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        text = said if isinstance(said, str) else said.decode("utf-8", "replace")
        told = shortened(printable(text), LONGEST_ANSWER)
        raise NotSent(f"{where} answered {error.smtp_code} {told}", again=error.smtp_code < 500) from None
    except (OSError, smtplib.SMTPException) as error:
        if distrusted := _distrusted(where, error):
            raise distrusted from None
        raise NotSent(f"{where} cannot be reached: {error or type(error).__name__}", again=True) from None


def _deliver(channel: Channel, mail: EmailMessage) -> None:
    import smtplib

    host, port, security = channel.server
    server = (
        smtplib.SMTP_SSL(host, port, timeout=PATIENCE, context=trusted(channel, "mail"))
        if security == "tls"
        else smtplib.SMTP(host, port, timeout=PATIENCE)
    )
    with server:
        if security == "starttls":
            server.starttls(context=trusted(channel, "mail"))
        if channel.user is not None and channel.password is not None:
            server.login(channel.user, channel.password.get())
        server.send_message(mail)
