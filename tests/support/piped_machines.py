"""Other machines that are processes of this one, with nothing but pipes between."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from anyjob import BackendError, BackendUnavailableError, Options
from anyjob.remote.near.backend import RemoteBackend
from anyjob.remote.near.channel import Ending

SERVE = [sys.executable, "-m", "anyjob", "serve", "--stdio"]


class PipeOptions(Options, frozen=True, kw_only=True):
    """Options of the backend below."""

    state: str
    argv: tuple[str, ...] = tuple(SERVE)
    backend: str = "local"
    env: tuple[str, ...] = ()
    safe: bool = False
    timeout: float = 60.0
    ways: dict[str, tuple[str, ...]] = {}
    """To a host of several, by its name: to which hosts each way leads."""


class PipeBackend(RemoteBackend):
    """The far end is another process of this machine, with a state directory of its own."""

    Options = PipeOptions

    def command_line(self) -> list[str]:
        return list(self.options.argv)

    def command_lines_to(self, host: str) -> list[list[str]]:
        return [["env", f"ANYJOB_HOST={leads}", *SERVE] for leads in self.options.ways.get(host, ())]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "ANYJOB_STATE": self.options.state}

    def explain(self, ending: Ending) -> BackendError:
        return BackendUnavailableError(f"{ending.code}: {ending.stderr[-300:]}{ending.noise}")
