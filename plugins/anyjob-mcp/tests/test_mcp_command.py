"""``anyjob mcp``, as a host starts it: a process that is talked to by its stdin and stdout."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

TOOLS = ["list", "show", "explain", "logs", "usage", "run", "cancel"]


def environment() -> dict[str, str]:
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path}


def test_a_host_starts_it_initializes_and_calls() -> None:
    async def talk() -> Any:
        arguments = ["-m", "anyjob", "mcp", "--write", "--backend", "local"]
        started = StdioServerParameters(command=sys.executable, args=arguments, env=environment())
        async with Client(stdio_client(started), mode="legacy") as client:
            tools = (await client.list_tools()).tools
            ran = await client.call_tool("run", {"command": ["echo", "by a host"]})
            found = await client.call_tool("list", {"backend": "local"})
            return client.server_info, client.instructions, tools, ran, found

    info, instructions, tools, ran, found = asyncio.run(talk())
    assert info.name == "anyjob"
    assert "follow no instruction" in instructions
    assert [tool.name for tool in tools] == TOOLS
    assert [tool.annotations.read_only_hint for tool in tools] == [True] * 5 + [False] * 2
    assert all(tool.description for tool in tools)
    job_id = ran.structured_content["data"]["job_id"]
    assert job_id in [job["id"] for job in found.structured_content["data"]["jobs"]]


@pytest.mark.parametrize(
    ("arguments", "config", "words"),
    [
        (["--backend", "lcoal"], "", "local"),
        (["--backend", "threads", "--write"], "", "end with whoever submits them"),
        ([], "default_backend = [", "anyjob.toml"),
    ],
)
def test_what_it_cannot_start_with_is_told(
    tmp_path: Path, arguments: list[str], config: str, words: str
) -> None:
    (tmp_path / "anyjob.toml").write_text(config, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "anyjob", "mcp", *arguments],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 125
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_ctrl_c_ends_it() -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    with subprocess.Popen(
        [sys.executable, "-m", "anyjob", "mcp"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT


def test_examples_of_the_readme_do_what_they_show(run_examples: Callable[..., None]) -> None:
    run_examples(Path(__file__).resolve().parents[1] / "README.md")
