"""The example that runs one sweep on whichever backend one word names, here on another machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import ssh_lab

NAMED = 'host = "login.example.org"'


@pytest.mark.engine("ssh")
def test_the_sweep_runs_on_another_machine_by_one_word(
    server: ssh_lab.Server, run_anywhere: Callable[..., None]
) -> None:
    run_anywhere("ssh", (NAMED, f'config = "{server.config}"\nhost = "lab"'))
