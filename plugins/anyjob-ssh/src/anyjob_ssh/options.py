"""The options of the type ``ssh``."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from anyjob import ConfigError, Options

_PATH = re.compile(r"~?[A-Za-z0-9_./+@=,:%-]+")
_QUOTABLE = re.compile(r"[ -~]+")


class SshOptions(Options, frozen=True, kw_only=True):
    """Options of the type ``ssh``."""

    host: Annotated[
        str, msgspec.Meta(description="the machine, as `ssh` takes it: a name of ~/.ssh/config, or user@host")
    ]
    backend: Annotated[
        str, msgspec.Meta(description="what that machine calls its backend; by default, its default one")
    ] = ""
    python: Annotated[
        str, msgspec.Meta(description="the interpreter there that has anyjob: ~/venv/bin/python")
    ] = ""
    command: Annotated[
        str,
        msgspec.Meta(
            description="the whole command line there, for who needs a login shell: "
            "bash -lc 'module load python; exec anyjob serve --stdio'"
        ),
    ] = ""
    env: Annotated[
        tuple[str, ...],
        msgspec.Meta(description='patterns of variables of this side that each job gets: ["OMP_*"]'),
    ] = ()
    safe: Annotated[
        bool,
        msgspec.Meta(description="run programs only, and unpickle nothing that comes from there"),
    ] = False
    config: Annotated[str, msgspec.Meta(description="a file to read in place of ~/.ssh/config")] = ""
    ssh: Annotated[str, msgspec.Meta(description="the program that is run for it")] = "ssh"
    ssh_options: Annotated[
        tuple[str, ...], msgspec.Meta(description='what goes to it by -o: ["ProxyJump=gate"]')
    ] = ()
    timeout: Annotated[
        float, msgspec.Meta(gt=0, le=1e9, description="seconds within which that machine has to answer")
    ] = 30.0

    def __post_init__(self) -> None:
        if not self.host or self.host.startswith("-") or not _QUOTABLE.fullmatch(self.host):
            raise ConfigError(f"host is what ssh takes, as in `ssh login.example.org`, not {self.host!r}")
        if self.python and not _PATH.fullmatch(self.python):
            raise ConfigError(
                f"python is a path of letters, digits and ./_-+ that every shell takes, not {self.python!r}: "
                "say by `command` how it is run, or make a link to it"
            )
        if self.python and self.command:
            raise ConfigError("python and command both say what is run there: leave out one of them")
        if self.command and not _QUOTABLE.fullmatch(self.command):
            raise ConfigError(
                "command is one line of ASCII, since shells there may take nothing else, and not "
                f"{self.command!r}: put the rest into a script there, and name that"
            )
