"""Every exception that anyjob raises on purpose.

AnyjobError
├── ConfigError                    a configuration that cannot be used: file, line, key, way out
│   └── SecretError                a secret that cannot be resolved
├── StateError                     the state directory or the ledger cannot be used
├── SpecError                      work, or resources for it, that make no sense (also a ValueError)
│   ├── UnsupportedSpecError       no route from this kind of work to what the backend accepts
│   ├── SerializationError         something in the work cannot be pickled; says what
│   └── JobFileError               a job file (``anyjob run sweep.toml``) that cannot be used
├── PluginError                    a plugin, or a name that no plugin answers to
│   ├── UnknownNameError           nobody answers to that name (also a LookupError)
│   ├── AmbiguousNameError         several distributions answer to it
│   ├── BrokenPluginError          the one that answers cannot be imported
│   │   └── IncompatiblePluginError  it was written for another plugin API
│   └── BlockedPluginError         it is switched off by the environment
├── BackendError                   a backend that cannot do what was asked
│   ├── BackendNotFoundError       a provider has none, or several, of that name
│   ├── BackendUnavailableError    not reachable now: transient, waits go on
│   └── BackendAuthError           it refuses our credentials: permanent
└── JobError
    ├── JobTimeoutError            not final within the timeout (also a TimeoutError)
    ├── InvalidStatusError         ``status()`` gave something that is no JobStatus
    ├── JobNotFoundError           no job, or no single one, of that id (also a LookupError)
    ├── JobRejectedError           the engine would not take the job
    │   └── Refused                a plugin's ``anyjob_before_submit`` would not let it through
    ├── JobCancelledError          the result of a cancelled job was asked for
    └── JobFailedError             the job ended in ERROR; ``reason`` says why
        ├── CommandFailedError     a program ended with a non-zero exit code
        ├── DependencyFailedError  what it was to start after did not come about: ``__cause__`` is why
        └── RemoteError            a call raised what does not survive pickling: its text and traceback

Preempted is none of them: it is raised in a call, and not by it.

Every one of them pickles, since a failed job's exception travels between processes.
"""

from __future__ import annotations


class Preempted(BaseException):
    """Raised in a call whose walltime is near, where it was submitted with ``signal_before``.

    It is no `Exception`, so that nothing but what is meant for it catches it.
    """

    def __init__(self, *args: object) -> None:  # which has a signature, as what it replaces has not
        super().__init__(*args)


class AnyjobError(Exception):
    """Base of all that anyjob raises on purpose."""

    def __init__(self, *args: object) -> None:  # which has a signature, as what it replaces has not
        super().__init__(*args)

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls ``cls(*args)``, which breaks for subclasses whose
        # __init__ takes something else than the message.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[AnyjobError], args: tuple[object, ...], state: dict[str, object]) -> AnyjobError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def in_words(error: BaseException) -> str:
    """Return what an error says; of one that is not ours, its type goes before."""
    if isinstance(error, AnyjobError):
        return str(error)
    said = str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


class ConfigError(AnyjobError):
    """A configuration that cannot be used; the message names file, place, key and the way out."""


class SecretError(ConfigError):
    """A secret whose environment variable, file or keyring entry is missing."""


class StateError(AnyjobError):
    """The state directory, or the ledger in it, cannot be used; the message says what to do."""


class SpecError(AnyjobError, ValueError):
    """Work, or resources for it, that make no sense."""


class UnsupportedSpecError(SpecError):
    """There is no route from this kind of work to what the backend accepts."""


class SerializationError(SpecError):
    """Something in the work cannot be pickled; the message names it.

    ``spec`` is the work that it is in, where that is known; it does not travel with the error.
    """

    spec: object = None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self.args


class JobFileError(SpecError):
    """A job file that cannot be used; the message names the file and the place in it."""


class PluginError(AnyjobError):
    """A plugin, or a name that no plugin answers to."""


class UnknownNameError(PluginError, LookupError):
    """Nobody answers to this name; the message lists the nearest names and what is installed."""


class AmbiguousNameError(PluginError):
    """Several distributions answer to this name; the message says how to pick one."""


class BrokenPluginError(PluginError):
    """The plugin that answers to a name cannot be loaded; ``__cause__`` is why."""


class IncompatiblePluginError(BrokenPluginError):
    """The plugin was written for another version of the plugin API; both are named."""


class BlockedPluginError(PluginError):
    """The plugin is switched off by ``ANYJOB_DISABLE_PLUGINS`` or ``ANYJOB_ONLY_PLUGINS``."""


class BackendError(AnyjobError):
    """A backend that cannot do what was asked."""


class BackendNotFoundError(BackendError, LookupError):
    """A provider has no backend that matches, or several."""


class BackendUnavailableError(BackendError):
    """The backend's engine is not reachable now. Transient: waits back off and go on."""


class BackendAuthError(BackendError):
    """The backend's engine refuses our credentials. Permanent: raised from the wait."""


class JobError(AnyjobError):
    """Something about one job."""


class JobTimeoutError(JobError, TimeoutError):
    """The job was not final within the time given."""


class InvalidStatusError(JobError):
    """A job's ``status()`` gave something that is no `JobStatus` and cannot be read as one."""


class JobNotFoundError(JobError, LookupError):
    """No job, or no single one, answers to this id."""


class JobRejectedError(JobError):
    """The engine would not take the job; the message is in the engine's own words."""


class Refused(JobRejectedError):
    """Raised by a hook's ``anyjob_before_submit`` to keep a job from being submitted.

    Attributes:
        plugin: whose hook that was; the message ends with it. Empty where it was raised elsewhere.
    """

    plugin = ""

    def __str__(self) -> str:
        refused = super().__str__()
        return f"{refused} (refused by the plugin {self.plugin})" if self.plugin else refused


class JobCancelledError(JobError):
    """The result of a job that was cancelled was asked for."""


class JobFailedError(JobError):
    """The job ended in ERROR.

    ``reason`` is one of ``exit-code``, ``exception``, ``signal``, ``walltime``, ``memory``,
    ``node-failure``, ``lost``, ``rejected``, ``missing-module``, ``dependency``.
    """

    def __init__(self, message: str, *, reason: str = "exception") -> None:
        super().__init__(message)
        self.reason = reason


class CommandFailedError(JobFailedError):
    """A program ended with a non-zero exit code; ``stderr`` is the end of what it wrote there."""

    def __init__(self, message: str, *, exit_code: int, stderr: str = "") -> None:
        super().__init__(message, reason="exit-code")
        self.exit_code = exit_code
        self.stderr = stderr


class DependencyFailedError(JobFailedError):
    """The job never started: what it was to start after did not come about.

    ``prerequisite`` is the id of the job that was the first to come to something else, and ``__cause__`` the
    failure of that, where they are known still.
    """

    def __init__(self, message: str, *, prerequisite: str = "") -> None:
        super().__init__(message, reason="dependency")
        self.prerequisite = prerequisite


class RemoteError(JobFailedError):
    """What a call raised does not survive pickling: here is its text, and its traceback.

    It is also the ``__cause__`` of the original exception where that one does survive, so that the
    remote traceback is shown.
    """

    def __init__(self, message: str, *, traceback: str = "", reason: str = "exception") -> None:
        super().__init__(message, reason=reason)
        self.traceback = traceback

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n\n{self.traceback}" if self.traceback else text
