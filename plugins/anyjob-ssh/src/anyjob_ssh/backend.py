"""The type ``ssh``."""

from __future__ import annotations

import os
from collections.abc import Mapping

from anyjob import BackendError
from anyjob.sdk import Ending, RemoteBackend
from anyjob_ssh import command_line, ssh_errors
from anyjob_ssh.options import SshOptions


class SshBackend(RemoteBackend):
    """Type ``ssh``: a backend of another machine, whatever it is there.

    One connection a process, by OpenSSH's own client. Jobs have the same id on both sides, and run there
    whatever becomes of the connection, or of this process.
    """

    Options = SshOptions

    def command_line(self) -> list[str]:
        """Return that of ssh."""
        return command_line.channel_arguments(self.options)

    def command_lines_to(self, host: str) -> list[list[str]]:
        """Return those of ssh to one of the hosts that a name stands for."""
        return command_line.arguments_to(self.options, host)

    def environment(self) -> Mapping[str, str]:
        """Return that of ssh."""
        return command_line.ssh_environment(os.environ)

    def explain(self, ending: Ending) -> BackendError:
        """Return what the words of ssh mean."""
        name = self.name()  # of a backend that a program has made without one, it is the type
        return ssh_errors.explain(self.options, ending, "" if name == "ssh" else name)
