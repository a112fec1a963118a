"""The plugins for a service that ``anyjob new-plugin`` writes: what knows its words, and the fake one."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from test_new_plugin import ACME

from anyjob.scaffold.render import render
from anyjob.scaffold.writing import write

FLAVOURS = ["rest", "provider"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_only_one_module_knows_what_the_fields_of_answers_are_called(flavour: str) -> None:
    for path, text in render(ACME[flavour]).items():
        if not path.startswith("src/") or not path.endswith(".py") or path.endswith("protocol.py"):
            continue
        for node in ast.walk(ast.parse(text)):
            by_name = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
            assert not by_name, f"{path}: {ast.unparse(node)}"


@contextmanager
def served(plugin: Path, scratch: Path) -> Iterator[str]:
    """Run the fake service as its user does, until SIGTERM; give its address."""
    command = [sys.executable, str(plugin / "tests" / "fake_service.py")]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().partition(",")[0]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def submitted(url: str, machine: str) -> str:
    """Hand over a job by hand."""
    job: dict[str, Any] = {
        "key": "k", "labels": {}, "machine": machine, "argv": ["dHJ1ZQ=="], "env": {}, "cwd": None,
        "stdin": None, "files": {}, "time_limit": None, "directory_variable": "DIRECTORY",
    }  # fmt: skip
    headers = {"Authorization": "Bearer a-token-for-tests"}
    request = Request(f"{url}/jobs", json.dumps(job).encode(), headers, method="POST")
    with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
        return str(json.load(answer)["id"])


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_fake_service_gives_no_id_twice_and_leaves_nothing_when_it_is_ended(
    flavour: str, tmp_path: Path
) -> None:
    plugin, scratch = tmp_path / "plugin", tmp_path / "scratch"
    write(plugin, render(ACME[flavour]))
    scratch.mkdir()
    ids = []
    for _ in range(2):
        with served(plugin, scratch) as url:
            ids.append(submitted(url, "falcon"))
            assert list(scratch.iterdir())
        assert list(scratch.iterdir()) == []
    assert all(re.fullmatch(r"job-\w+-\d+", each) for each in ids)
    assert ids[0] != ids[1]
