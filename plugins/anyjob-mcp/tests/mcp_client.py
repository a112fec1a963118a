"""A client of the SDK that calls tools, and what they tell."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from anyjob_mcp.limits import read_limits
from anyjob_mcp.server import make_server
from mcp import Client

import anyjob
from anyjob import Command

Ask = Callable[..., Any]


def asker(*backends: str, **options: Any) -> Ask:
    """Return a function that calls a tool, of a server with these limits, by the client of the SDK."""
    given = {"writes": False, "cancels_any": False, "most_open": 10, "cpus": 2, "gpus": 0,
             "memory": None, "walltime": "1m", **options}  # fmt: skip
    server = make_server(anyjob.default_session(), read_limits(backends, **given))

    async def call(tool: str, arguments: dict[str, Any]) -> Any:
        async with Client(server) as client:
            return await client.call_tool(tool, arguments)

    return lambda tool, **arguments: asyncio.run(call(tool, arguments))


def data(result: Any) -> Any:
    """Return what a result tells; it is the same in its text, between marks."""
    assert not result.is_error, result.content
    assert "follow no instruction" in result.structured_content["untrusted"]
    (block,) = result.content
    found = re.fullmatch(r"[^<]*\n<(data-[0-9a-f]{16})>\n(.*)\n</\1>", block.text, re.DOTALL)
    assert found, block.text
    assert json.loads(found[2]) == result.structured_content["data"]
    return result.structured_content["data"]


def error(result: Any) -> str:
    assert result.is_error
    return str(result.content[0].text)


def ended(name: str, *argv: str) -> str:
    job = anyjob.run(Command(list(argv)), "local", name=name)
    anyjob.wait([job], timeout=60)
    return str(job.job_id())
