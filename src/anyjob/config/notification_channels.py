"""Channels: the ways by which somebody is told that jobs have ended, as ``[notify.NAME]`` configures them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from anyjob.config.options import validate_options
from anyjob.config.secrets import Secret
from anyjob.errors import ConfigError, UnknownNameError
from anyjob.text.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ssl import SSLContext

    from anyjob.config.settings import Config

WAYS = ("webhook", "mail", "command", "desktop", "report")


class Channel(msgspec.Struct, kw_only=True, frozen=True):
    """One way by which somebody is told that jobs have ended: webhook, mail, command, desktop or report.

    Args:
        webhook: the address that one JSON is sent to, as Slack and those like it take it: whoever knows it
            may write there, so it is a secret
        mail: addresses that a mail goes to
        command: a line for a shell, or a program with its arguments; it reads the message
        desktop: whether a note is shown on this desktop, by notify-send
        report: a file that a report on the jobs is written to, as one page; an absolute path, or one that
            starts with ~
        smtp: the mail server: HOST or HOST:PORT
        security: how the mail server is spoken to: by default tls on port 465, starttls on port 587, none on
            others
        user: whom the mail server knows
        password: of that user
        ca: a file (PEM) with the authorities to trust beside those of this system, or with the certificate of
            the mail server or webhook itself; an absolute path, or one that starts with ~
        sender: the address that mails come from; by default the first that they go to
    """

    webhook: Secret | None = None
    mail: str | list[str] | None = None
    command: str | list[str] | None = None
    desktop: bool = False
    report: str | None = None
    smtp: str = "localhost"
    security: Literal["tls", "starttls", "none"] | None = None
    user: str | None = None
    password: Secret | None = None
    ca: str | None = None
    sender: str | None = None

    @property
    def ways(self) -> list[str]:
        """Those that it has; a channel that was read has one."""
        return [way for way in WAYS if getattr(self, way)]

    @property
    def recipients(self) -> list[str]:
        """The addresses that a mail goes to."""
        return [self.mail] if isinstance(self.mail, str) else self.mail or []

    @property
    def server(self) -> tuple[str, int, str]:
        """The mail server: its host, its port, and how it is spoken to."""
        host, port = _host_and_port(self.smtp)
        return host, port, self.security or {465: "tls", 587: "starttls"}.get(port, "none")


def channel(config: Config, name: str) -> Channel:
    """Return the channel that is configured under a name.

    Raises:
        UnknownNameError: none is.
        ConfigError: it is not of the right shape.
    """
    known = config.notify
    if name not in known:
        raise UnknownNameError(f"no channel is called {name!r} in [notify]{did_you_mean(name, known)}")
    return read(known[name], f"notify.{name}")


def read(options: Mapping[str, Any], called: str) -> Channel:
    """Make a channel of its options; secrets are not resolved.

    Args:
        options: by name.
        called: what to call it in errors, where nothing says where it was configured.

    Raises:
        ConfigError: they are not of the right shape, or are of no channel.
    """
    found = validate_options(Channel, options, where="" if hasattr(options, "where") else called)
    if wrong := _wrong(found):
        where = getattr(options, "where", lambda: called)()
        raise ConfigError(f"{where}: {wrong}")
    return found


def problems(config: Config) -> Iterator[str]:
    """Yield what is wrong with the channels of a configuration."""
    try:
        known = config.notify
    except ConfigError:
        return  # it is told with what is wrong with the shape of the whole
    for name, options in known.items():
        try:
            found = read(options, f"notify.{name}")
            check(found, options.where(found.ways[0]))
        except ConfigError as error:
            yield str(error)


def check(found: Channel, where: str) -> None:
    """See whether a channel can be used here, as far as can be seen without using it.

    Args:
        found: the channel.
        where: what to call its place, for errors.

    Raises:
        SecretError: a secret is not where it should be.
        ConfigError: the address of a webhook is none, the file ``ca`` cannot be read, or there is no
            notify-send for a desktop.
    """
    address(found, where)
    if found.password is not None:
        found.password.get()
    if found.ca is not None:
        trusted(found, where)
    if found.desktop:
        from shutil import which

        if which("notify-send") is None:
            raise ConfigError(
                f"{where}: no program notify-send is here: install it (libnotify-bin, or libnotify), or name "
                "another way"
            )


def address(found: Channel, where: str) -> str:
    """Return the address of a webhook, read where it is kept; empty for another channel.

    Args:
        found: the channel.
        where: what to call the place of the address, for errors.

    Raises:
        SecretError: it cannot be read.
        ConfigError: it is none. It is not told, since it is a secret.
    """
    if found.webhook is None:
        return ""
    from urllib.parse import urlsplit

    text = found.webhook.get()
    try:
        parts = urlsplit(text)
        _ = parts.port  # which is read only now
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        good = False
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(
            f"{where}: this is no address of a webhook: it must be of the form https://HOST/PATH"
        )
    return text


def trusted(found: Channel, where: str) -> SSLContext:
    """Return how the other end of a connection is known: by the authorities of this system, and by ``ca``.

    Raises:
        ConfigError: that cannot be read, or has no certificates.
    """
    import os
    import ssl

    context = ssl.create_default_context()
    if found.ca is not None:
        try:
            context.load_verify_locations(os.path.expanduser(found.ca))
        except ssl.SSLError:
            why = "there are no certificates in it, as PEM: begin with -----BEGIN CERTIFICATE-----"
            raise ConfigError(f"{where}: ca: {found.ca}: {why}") from None
        except OSError as error:
            raise ConfigError(f"{where}: ca: {found.ca} cannot be read: {error.strerror}") from None
    return context


def _wrong(found: Channel) -> str:
    ways = found.ways
    if len(ways) != 1:
        given = f"it has {' and '.join(ways)}" if ways else "it has none"
        return f"a channel has exactly one of {', '.join(WAYS)}; {given}"
    for one in [*found.recipients, *([found.sender] if found.sender else [])]:
        if not all(one.partition("@")) or not one.isprintable() or any(char in one for char in " ,<>"):
            return f"{one!r} is no mail address: it must be of the form name@host"
    try:
        host, _, security = found.server
    except ValueError:
        return f"smtp: {found.smtp!r} must be of the form HOST or HOST:PORT"
    for name in ("report", "ca"):
        path = getattr(found, name)
        if path is not None and not path.startswith(("/", "~")):
            return f"{name}: {path!r} must be an absolute path, or start with '~'"
    if (found.user is None) != (found.password is None):
        return "user and password go together: give both or none"
    if found.password is not None and security == "none" and host not in ("localhost", "127.0.0.1", "::1"):
        return f'a password would go to {host} for all to read: set security = "starttls" or "tls"'
    return ""


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        host, port = text, "25"
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError
    return host, int(port)
