"""The server: its tools, by name, as an agent sees them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import version
from types import new_class
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations

from anyjob import AnyjobError, Session
from anyjob_mcp.acting import Acting
from anyjob_mcp.limits import Denied, Limits
from anyjob_mcp.marking import NOTE, as_refusal, as_result
from anyjob_mcp.reading import Reading

READS = ToolAnnotations(read_only_hint=True, open_world_hint=True)
RUNS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False)
CANCELS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True)


def make_server(session: Session, limits: Limits) -> MCPServer:
    """Return the server.

    Args:
        session: whose jobs.
        limits: what is allowed.
    """
    reading = Reading(session, limits)
    tools = Tools(reading, Acting(session, limits, reading))
    about = f"Jobs that anyjob runs, on this machine and on clusters. {NOTE}"
    named = (
        ("list", tools.list_jobs, READS),
        ("show", tools.show, READS),
        ("explain", tools.explain, READS),
        ("logs", tools.logs, READS),
        ("usage", tools.usage, READS),
        ("run", tools.run, RUNS),
        ("cancel", tools.cancel, CANCELS),
    )
    return MCPServer(
        "anyjob",
        instructions=about,
        version=version("anyjob-mcp"),
        log_level="ERROR",
        subscriptions=False,
        tools=[_strict(_told(tool), name, hints) for name, tool, hints in named],
    )


class Tools:
    """What an agent may call; what they return is told as data.

    Args:
        reading: by which jobs are seen.
        acting: by which something is done.
    """

    def __init__(self, reading: Reading, acting: Acting) -> None:
        self._reading, self._acting = reading, acting

    def list_jobs(self, state: str = "", name: str = "", backend: str = "", limit: int = 50) -> Any:
        """List the newest jobs, the newest first, and say how many fit.

        state: open, ended, failed, or one such as QUEUED or RUNNING. Times are in seconds since 1970.
        """
        return self._reading.listed(state, name, backend, limit)

    def show(self, job_id: str) -> Any:
        """Show all that is known of one job. job_id: its id, or the beginning of it."""
        return self._reading.details(job_id)

    def explain(self, job_id: str) -> Any:
        """Say why a job waits or has failed, what can be done about it, and what it wrote last."""
        return self._reading.explained(job_id)

    def logs(self, job_id: str, stream: str = "stdout", begin: int = -1, size: int = 16384) -> Any:
        """Read a part of what a job has written to stdout or stderr.

        begin: an offset in bytes; -1: the last of it. The result's end is where the next part begins.
        """
        return self._reading.log(job_id, stream, begin, size)

    def usage(self, by: list[str] = [], since: str = "") -> Any:  # noqa: B006 (it is not changed)
        """Sum up jobs by backend and by name, kind, host, day: how many, core-hours, efficiency, cost.

        since: only those submitted so long ago at most, such as 30d.
        """
        return self._reading.usage(by, since)

    def run(
        self,
        command: list[str],
        backend: str = "",
        name: str = "",
        cpus: int = 1,
        gpus: int = 0,
        memory: str = "",
        walltime: str = "",
        cwd: str = "",
    ) -> Any:
        """Run a program as a job, without a shell; return the id of the job at once.

        command: the program and its arguments. memory: such as 4GiB. walltime: such as 30m.
        """
        return self._acting.run(
            command, backend, cwd, name=name, cpus=cpus, gpus=gpus, memory=memory, walltime=walltime
        )

    def cancel(self, job_id: str) -> Any:
        """Cancel a job, and what waits for its success."""
        return self._acting.cancel(job_id)


def _strict(tool: Callable[..., CallToolResult], name: str, hints: ToolAnnotations) -> Tool:
    """Return a tool that refuses arguments which it does not have: the SDK drops them, a limit among them."""
    made = Tool.from_function(tool, name, annotations=hints, structured_output=False)
    lenient = made.fn_metadata.arg_model
    strict: Any = new_class(lenient.__name__, (lenient,), {"extra": "forbid"})
    made.fn_metadata.arg_model = strict
    made.parameters = strict.model_json_schema(by_alias=True)
    return made


def _told(tool: Callable[..., Any]) -> Callable[..., CallToolResult]:
    """Return the tool with what it returns, or why it has not, as a result of the protocol."""

    @functools.wraps(tool)
    def told(*args: Any, **kwargs: Any) -> CallToolResult:
        try:
            return as_result(tool(*args, **kwargs))
        except Denied as denied:
            return as_refusal(str(denied))
        except AnyjobError as error:  # whose words may have a name or an output in them
            return as_result({"error": str(error)}, is_error=True)
        except Exception as error:  # of a plugin
            return as_result({"error": f"{type(error).__name__}: {error}"}, is_error=True)

    return told
