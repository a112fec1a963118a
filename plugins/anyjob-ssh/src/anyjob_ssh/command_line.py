"""The command lines: that of ``ssh`` here, and the one that it has the login shell there run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from anyjob import ConfigError
from anyjob_ssh.options import SshOptions

INSTALLED = ".local/share/anyjob/venv"
"""Below the home there: where ``anyjob remote install`` puts it."""
LONGEST = 90
"""Bytes of the path of a socket of ssh: 107 at most, and it adds 17 while it makes it."""
ALIVE = 5
"""Seconds without a word after which the server is asked for one; four times in vain, it is gone."""
COMMAND = f"exec sh -c 'PATH=\"$PATH:$HOME/.local/bin:$HOME/{INSTALLED}/bin\"; exec anyjob serve --stdio'"
"""What is run there by default: one word in single quotes, which all shells read the same."""


def remote_command(options: SshOptions) -> str:
    """Return the line that the login shell there is given."""
    if options.command:
        return options.command
    return f"exec {options.python} -m anyjob serve --stdio" if options.python else COMMAND


def ssh_arguments(options: SshOptions, *, batch: bool = True, first: Sequence[str] = ()) -> list[str]:
    """Return the command line of ``ssh``, up to the host and with it.

    Args:
        options: those of the backend.
        batch: whether ssh may ask nothing.
        first: what goes before all of these.
    """
    given = [
        *first,
        *options.ssh_options,  # first, since of those that are given twice ssh takes the first
        *(["BatchMode=yes"] if batch else []),
        f"ServerAliveInterval={ALIVE}",
        "ServerAliveCountMax=3",
        "ClearAllForwardings=yes",
        f"ConnectTimeout={max(1, int(options.timeout))}",
    ]
    if batch and not first and os.path.exists(master := master_path(options)):
        given[:0] = [f"ControlPath={master}", "ControlMaster=no"]
    config = ["-F", options.config] if options.config else []
    return [options.ssh, *config, *(part for each in given for part in ("-o", each)), "--", options.host]


def channel_arguments(options: SshOptions, first: Sequence[str] = ()) -> list[str]:
    """Return the command line of an ``ssh`` that carries a channel; with what goes before its options."""
    program, *rest = ssh_arguments(options, first=first)
    return [program, "-T", *rest, remote_command(options)]


def arguments_to(options: SshOptions, host: str) -> list[list[str]]:
    """Return those of an ``ssh`` to one of the hosts that a name stands for: directly, and by way of another.

    Its key has to be one that is known under the name that stands for all; and it is no session of a master,
    which is connected to another host.
    """
    own = [f"HostName={host}", f"HostKeyAlias={known_as(options)}", "ControlPath=none"]
    return [
        channel_arguments(options, own),
        channel_arguments(options, [*own, f"ProxyJump={options.host}"]),
    ]


def known_as(options: SshOptions) -> str:
    """Return the name under which the keys of a machine are in ``known_hosts``."""
    import subprocess

    program, *rest = ssh_arguments(options)
    told = subprocess.run(
        [program, "-G", *rest], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    ).stdout
    said = dict(line.partition(" ")[::2] for line in told.splitlines())
    host, port = said.get("hostname", options.host), said.get("port", "22")
    return said.get("hostkeyalias") or (host if port == "22" else f"[{host}]:{port}")


def ssh_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of ``ssh``: without the locale, which it would send there, and in English."""
    return {k: v for k, v in environ.items() if k not in ("LANG", "LANGUAGE") and not k.startswith("LC_")}


def master_path(options: SshOptions) -> str:
    """Return the socket of a connection that ``anyjob remote login`` keeps.

    It lies beside the keys; where that path is too long for ssh, in the runtime directory of the user.
    """
    import hashlib

    told = "\0".join((options.host, options.config, *options.ssh_options))
    name = f"anyjob-{hashlib.sha256(told.encode()).hexdigest()[:10]}"
    path = os.path.expanduser(f"~/.ssh/{name}")
    return path if is_short(path) or not (own := _runtime_directory()) else f"{own}/{name}"


def is_short(path: str) -> bool:
    """Tell whether ssh can have a socket there: it makes it under a longer name first."""
    return len(os.fsencode(path)) <= LONGEST


def _runtime_directory() -> str:
    """Return a directory that nobody else may put a socket into; empty where there is none."""
    path = os.environ.get("XDG_RUNTIME_DIR", "")
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return path if found.st_uid == os.geteuid() and not found.st_mode & 0o022 else ""


def login_arguments(options: SshOptions, hours: int) -> list[str]:
    """Return the command line of an ``ssh`` that asks its user, and stays in the background.

    Raises:
        ConfigError: there is no place for its socket.
    """
    path = master_path(options)
    if not is_short(path):
        raise ConfigError(
            f"the socket of this connection would be {path}, longer than the {LONGEST} bytes that ssh "
            "can have; set XDG_RUNTIME_DIR to a directory of your own whose path is short"
        )
    program, *rest = ssh_arguments(options, batch=False)
    kept = [f"ControlPath={path}", "ControlMaster=auto", f"ControlPersist={hours}h"]
    return [program, *(part for each in kept for part in ("-o", each)), *rest, "true"]
