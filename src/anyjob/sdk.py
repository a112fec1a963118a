"""What the authors of backends, job types, providers and hooks need beside the API of `anyjob` itself.

This is version v1 of the plugin API: a plugin that says ``v1`` in its entry-point group ``anyjob.api`` may
rely on each of these names, as it may on those of `anyjob`; its tests, on those of `anyjob.testing`. All
other modules are anyjob's own: they move, and change, without notice.

Names are loaded when they are first used, so that ``import anyjob.sdk`` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from anyjob.batch.backend import BatchBackend
    from anyjob.batch.dialect import Dialect, Row, Submission
    from anyjob.batch.options import BatchJobOptions, cluster_options
    from anyjob.config.options import validate_options
    from anyjob.config.schema import fields, json_schema, schema_hook
    from anyjob.execution.interpreter import find_interpreter, spawn_interpreter, unmark_interpreter
    from anyjob.execution.job_environment import job_environment, use_job_environment
    from anyjob.execution.job_run import JobRun
    from anyjob.execution.spawning import run_program
    from anyjob.execution.submit_directory import submit_directory
    from anyjob.execution.worker_process import WorkerProcess
    from anyjob.orders import Answer
    from anyjob.outcome import KeptByBackend, LocalValue
    from anyjob.process.forks import in_children, in_each_process
    from anyjob.process.plugin_thread import PluginThread
    from anyjob.remote.messages import Hello
    from anyjob.remote.near.backend import RemoteBackend
    from anyjob.remote.near.channel import Ending
    from anyjob.serialization.pickling import dump_call
    from anyjob.serialization.unpicklable import serialization_error
    from anyjob.specs import kind_of
    from anyjob.spool.job_spool import read_outcome
    from anyjob.spool.private_files import open_private, read_range, write_private
    from anyjob.spool.reports import outcome_from_report, parse_outcome
    from anyjob.standalone import runner
    from anyjob.status import as_status
    from anyjob.text.printable import printable
    from anyjob.views.live.live_view import LiveView

_MODULE_OF = {
    "Answer": "orders",
    "BatchBackend": "batch.backend",
    "BatchJobOptions": "batch.options",
    "Dialect": "batch.dialect",
    "Ending": "remote.near.channel",
    "Hello": "remote.messages",
    "JobRun": "execution.job_run",
    "KeptByBackend": "outcome",
    "LiveView": "views.live.live_view",
    "LocalValue": "outcome",
    "PluginThread": "process.plugin_thread",
    "RemoteBackend": "remote.near.backend",
    "Row": "batch.dialect",
    "Submission": "batch.dialect",
    "WorkerProcess": "execution.worker_process",
    "as_status": "status",
    "cluster_options": "batch.options",
    "dump_call": "serialization.pickling",
    "fields": "config.schema",
    "find_interpreter": "execution.interpreter",
    "in_children": "process.forks",
    "in_each_process": "process.forks",
    "job_environment": "execution.job_environment",
    "json_schema": "config.schema",
    "kind_of": "specs",
    "open_private": "spool.private_files",
    "outcome_from_report": "spool.reports",
    "parse_outcome": "spool.reports",
    "printable": "text.printable",
    "read_outcome": "spool.job_spool",
    "read_range": "spool.private_files",
    "run_program": "execution.spawning",
    "runner": "standalone.runner",
    "schema_hook": "config.schema",
    "serialization_error": "serialization.unpicklable",
    "spawn_interpreter": "execution.interpreter",
    "submit_directory": "execution.submit_directory",
    "unmark_interpreter": "execution.interpreter",
    "use_job_environment": "execution.job_environment",
    "validate_options": "config.options",
    "write_private": "spool.private_files",
}

__all__ = [
    "Answer",
    "BatchBackend",
    "BatchJobOptions",
    "Dialect",
    "Ending",
    "Hello",
    "JobRun",
    "KeptByBackend",
    "LiveView",
    "LocalValue",
    "PluginThread",
    "RemoteBackend",
    "Row",
    "Submission",
    "WorkerProcess",
    "as_status",
    "cluster_options",
    "dump_call",
    "fields",
    "find_interpreter",
    "in_children",
    "in_each_process",
    "job_environment",
    "json_schema",
    "kind_of",
    "open_private",
    "outcome_from_report",
    "parse_outcome",
    "printable",
    "read_outcome",
    "read_range",
    "run_program",
    "runner",
    "schema_hook",
    "serialization_error",
    "spawn_interpreter",
    "submit_directory",
    "unmark_interpreter",
    "use_job_environment",
    "validate_options",
    "write_private",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'anyjob.sdk' has no attribute {name!r}")
    from importlib import import_module

    found: Any = import_module(f"anyjob.{module}")
    if name != "runner":
        found = getattr(found, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
