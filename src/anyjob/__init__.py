"""Run work anywhere: name a backend, hand it work, get a job handle.

Names are loaded when they are first used, so that ``import anyjob`` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from anyjob import aio
    from anyjob.backend import (
        BackendConfiguration,
        BackendStatus,
        BaseBackend,
        Capabilities,
    )
    from anyjob.command_result import CommandResult
    from anyjob.config.secrets import Secret
    from anyjob.config.settings import Config
    from anyjob.errors import (
        AmbiguousNameError,
        AnyjobError,
        BackendAuthError,
        BackendError,
        BackendNotFoundError,
        BackendUnavailableError,
        BlockedPluginError,
        BrokenPluginError,
        CommandFailedError,
        ConfigError,
        DependencyFailedError,
        IncompatiblePluginError,
        InvalidStatusError,
        JobCancelledError,
        JobError,
        JobFailedError,
        JobFileError,
        JobNotFoundError,
        JobRejectedError,
        JobTimeoutError,
        PluginError,
        Preempted,
        Refused,
        RemoteError,
        SecretError,
        SerializationError,
        SpecError,
        StateError,
        UnknownNameError,
        UnsupportedSpecError,
    )
    from anyjob.execution.own_attempt import attempt, scratch
    from anyjob.execution.parent_job import detached
    from anyjob.executor import Executor
    from anyjob.hookspecs import Amended, hookimpl
    from anyjob.job import BaseJob
    from anyjob.jobtypes import CommandJob, PythonJob
    from anyjob.orders import Observation, Options, Order, Rejected, Ticket, Unsure
    from anyjob.outcome import Attempt, Outcome
    from anyjob.provider import BaseProvider, ProviderConfiguration, filter_backends, least_busy
    from anyjob.references import Lazy, lazy, result_of
    from anyjob.registry.lookup import Registry
    from anyjob.resources import Resources
    from anyjob.retry import Retry
    from anyjob.session.default import (
        backends,
        cancel,
        default_session,
        get_backend,
        get_job,
        get_job_type,
        get_provider,
        hold,
        job_types,
        jobs,
        limit,
        pause,
        release,
        rerun,
        resume,
        run,
        set_default_session,
        set_priority,
    )
    from anyjob.session.facade import Session
    from anyjob.specs import Call, Command, File, Spec
    from anyjob.spool.progress_report import progress
    from anyjob.status import JOB_FINAL_STATES, JobStatus
    from anyjob.taskbackend import TaskBackend
    from anyjob.taskjob import TaskJob
    from anyjob.tracking.waits.blocking import as_completed, wait

_WHERE = {
    "backend": (
        "BackendConfiguration",
        "BackendStatus",
        "BaseBackend",
        "Capabilities",
    ),
    "config.settings": ("Config",),
    "errors": (
        "AmbiguousNameError",
        "AnyjobError",
        "BackendAuthError",
        "BackendError",
        "BackendNotFoundError",
        "BackendUnavailableError",
        "BlockedPluginError",
        "BrokenPluginError",
        "CommandFailedError",
        "DependencyFailedError",
        "ConfigError",
        "IncompatiblePluginError",
        "InvalidStatusError",
        "JobCancelledError",
        "JobError",
        "JobFailedError",
        "JobFileError",
        "JobNotFoundError",
        "JobRejectedError",
        "JobTimeoutError",
        "PluginError",
        "Preempted",
        "Refused",
        "RemoteError",
        "SecretError",
        "SerializationError",
        "SpecError",
        "StateError",
        "UnknownNameError",
        "UnsupportedSpecError",
    ),
    "executor": ("Executor",),
    "hookspecs": ("Amended", "hookimpl"),
    "job": ("BaseJob",),
    "jobtypes": ("CommandJob", "PythonJob"),
    "orders": ("Observation", "Options", "Order", "Rejected", "Ticket", "Unsure"),
    "outcome": ("Attempt", "Outcome"),
    "command_result": ("CommandResult",),
    "spool.progress_report": ("progress",),
    "references": ("Lazy", "lazy", "result_of"),
    "execution.own_attempt": ("attempt", "scratch"),
    "registry.lookup": ("Registry",),
    "config.secrets": ("Secret",),
    "provider": ("BaseProvider", "ProviderConfiguration", "filter_backends", "least_busy"),
    "session.default": (
        "backends",
        "cancel",
        "default_session",
        "get_backend",
        "get_job",
        "get_job_type",
        "get_provider",
        "hold",
        "job_types",
        "jobs",
        "limit",
        "pause",
        "release",
        "rerun",
        "resume",
        "run",
        "set_default_session",
        "set_priority",
    ),
    "session.facade": ("Session",),
    "resources": ("Resources",),
    "retry": ("Retry",),
    "execution.parent_job": ("detached",),
    "specs": ("Call", "Command", "File", "Spec"),
    "status": ("JOB_FINAL_STATES", "JobStatus"),
    "taskbackend": ("TaskBackend",),
    "taskjob": ("TaskJob",),
    "tracking.waits.blocking": ("as_completed", "wait"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "AmbiguousNameError",
    "Amended",
    "AnyjobError",
    "Attempt",
    "BackendAuthError",
    "BackendConfiguration",
    "BackendError",
    "BackendNotFoundError",
    "BackendStatus",
    "BackendUnavailableError",
    "BaseBackend",
    "BaseJob",
    "BaseProvider",
    "BlockedPluginError",
    "BrokenPluginError",
    "Call",
    "Capabilities",
    "Command",
    "CommandFailedError",
    "CommandJob",
    "CommandResult",
    "Config",
    "ConfigError",
    "DependencyFailedError",
    "Executor",
    "File",
    "IncompatiblePluginError",
    "InvalidStatusError",
    "JOB_FINAL_STATES",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobFileError",
    "JobNotFoundError",
    "JobRejectedError",
    "JobStatus",
    "JobTimeoutError",
    "Lazy",
    "Observation",
    "Options",
    "Order",
    "Outcome",
    "PluginError",
    "Preempted",
    "ProviderConfiguration",
    "PythonJob",
    "Refused",
    "Registry",
    "Rejected",
    "RemoteError",
    "Resources",
    "Retry",
    "Secret",
    "SecretError",
    "SerializationError",
    "Session",
    "Spec",
    "SpecError",
    "StateError",
    "TaskBackend",
    "TaskJob",
    "Ticket",
    "UnknownNameError",
    "UnsupportedSpecError",
    "Unsure",
    "__version__",
    "aio",
    "as_completed",
    "attempt",
    "backends",
    "cancel",
    "default_session",
    "detached",
    "filter_backends",
    "get_backend",
    "get_job",
    "get_job_type",
    "get_provider",
    "hold",
    "hookimpl",
    "job_types",
    "jobs",
    "lazy",
    "least_busy",
    "limit",
    "pause",
    "progress",
    "release",
    "rerun",
    "result_of",
    "resume",
    "run",
    "scratch",
    "set_default_session",
    "set_priority",
    "wait",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None and name != "aio":
        raise AttributeError(f"module 'anyjob' has no attribute {name!r}")
    import sys

    path = f"anyjob.{module or name}"
    try:
        __import__(path)  # and not importlib, which is another import, of half a millisecond
    except Exception as error:  # whatever a module raises that stands in another's place
        from anyjob.standalone.shadowing import shadowing

        if said := shadowing(error):
            raise ImportError(f"anyjob.{name} cannot be imported: {said}", name=path) from error
        raise
    found: Any = sys.modules[path]
    if module is not None:
        found = getattr(found, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
