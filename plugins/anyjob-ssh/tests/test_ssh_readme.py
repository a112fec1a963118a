"""The examples of the README are executed, with a machine of ours in place of the one that they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import ssh_lab

PLUGIN = Path(__file__).resolve().parents[1]
NAMED = 'host = "login.example.org"'


@pytest.mark.engine("ssh")
def test_examples_do_what_they_show(
    server: ssh_lab.Server, run_examples: Callable[..., None], tmp_path: Path
) -> None:
    copy = tmp_path / "README.md"
    text = (PLUGIN / "README.md").read_text(encoding="utf-8")
    assert NAMED in text
    copy.write_text(text.replace(NAMED, f'config = "{server.config}"\nhost = "lab"'), encoding="utf-8")
    run_examples(copy)
