#!/usr/bin/env bash
# mcp 2.3.0 (the Python SDK of the Model Context Protocol): a tool is called without the arguments that it does not have, and nobody is told.
#
# A model that misspells an argument, or makes one up, gets what the tool does by default: remove(path, dry_run=False), called with dryrun=true, removes. The
# schema that the server tells does not forbid others either (no additionalProperties), so a client that validates finds nothing.
# Seen on 2026-11-30:
#   dry_run=true: would remove notes
#   dryrun=true: removed notes
#   dry_run="perhaps": an error
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet mcp==2.3.0
cd "$directory"
cat >run.py <<'PYTHON'
import asyncio

from mcp import Client
from mcp.server import MCPServer

server = MCPServer("files", log_level="CRITICAL")


@server.tool(structured_output=False)
def remove(path: str, dry_run: bool = False) -> str:
    return f"would remove {path}" if dry_run else f"removed {path}"


async def main():
    told = []
    async with Client(server) as client:
        for shown, arguments in (
            ("dry_run=true", {"dry_run": True}),
            ("dryrun=true", {"dryrun": True}),
            ('dry_run="perhaps"', {"dry_run": "perhaps"}),
        ):
            result = await client.call_tool("remove", {"path": "notes", **arguments})
            told.append("an error" if result.is_error else result.content[0].text)
            print(f"{shown}: {told[-1]}")
    assert told == ["would remove notes", "removed notes", "an error"], "it has changed"


asyncio.run(main())
PYTHON
timeout 60 env/bin/python run.py
