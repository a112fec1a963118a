"""A backend: a place that runs work.

The interface is that of ``BaseBackend`` in Qiskit's original provider interface (``qiskit.providers``,
0.7 to 0.17), with its meaning kept and its traps removed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from anyjob import _typing as t
from anyjob.errors import BackendError

TYPE_CHECKING = False


class Record:
    """Named values, equal by value: what a frozen dataclass would be, at a tenth of its import time.

    Text whose name says that it is secret can be used as it is, and is not shown.
    """

    def __init__(self, **values: t.Any) -> None:
        self.__dict__.update(values)

    def _conceal(self, options: t.Mapping[str, t.Any]) -> None:
        if options:
            from anyjob.config.secrets import concealed

            self.__dict__.update(concealed(options))

    def to_dict(self) -> dict[str, t.Any]:
        """Return the values by name."""
        return dict(self.__dict__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash((type(self), frozenset(self.__dict__)))

    def __repr__(self) -> str:
        values = ", ".join(f"{key}={value!r}" for key, value in self.__dict__.items())
        return f"{type(self).__name__}({values})"


class BackendConfiguration(Record):
    """What a backend was configured with: ``backend_name``, ``backend_version``, and its options
    as attributes of their own."""

    backend_name: str
    backend_version: str

    def __init__(self, backend_name: str, backend_version: str = "", **options: t.Any) -> None:
        super().__init__(backend_name=backend_name, backend_version=backend_version)
        self._conceal(options)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> t.Any: ...


class BackendStatus(Record):
    """What a backend says of itself now."""

    backend_name: str
    backend_version: str
    operational: bool
    pending_jobs: int
    status_msg: str

    def __init__(
        self,
        backend_name: str,
        backend_version: str = "",
        operational: bool = True,
        pending_jobs: int = 0,
        status_msg: str = "",
    ) -> None:
        super().__init__(
            backend_name=backend_name,
            backend_version=backend_version,
            operational=operational,
            pending_jobs=pending_jobs,
            status_msg=status_msg,
        )


class Capabilities(Record):
    """What a backend can do, so that programs can choose by it and the conformance kit knows.

    Args:
        durable: its jobs outlive the process that submitted them.
        shared_files: the work sees the same files under the same paths as the caller.
        find: it can find a job by our id (repairs a crash between launch and record).
        logs: it keeps what the work writes to stdout and stderr.
        cancel_running: it can end work that has started.
        walltime: it ends work that runs longer than asked for.
        notifies: it hears of changes, so that waits need not poll.
        may_run_twice: its engine may by itself run a task a second time.
        call_environment: a call gets the ``env`` and the ``cwd`` of its own that it asks for.
        output_files: a program writes to the ``stdout`` and the ``stderr`` that it names.
        controls: it knows priorities, and can hold, release, pause and resume jobs.
        tasks: a job may be several processes, by ``tasks=``.
        gpu_shares: several jobs may have a share of one GPU each, ``gpus=0.5``.
        gpu_memory: it gives GPUs away by the ``gpu_memory`` that jobs ask for.
        needs: it counts what jobs ask for by name, ``needs={"license": 1}``.
        repeatable_launch: an order that it was given already is not run again, whoever gives it once more: so
            what it cannot find is handed over anew, and not taken for lost.
    """

    durable: bool
    shared_files: bool
    find: bool
    logs: bool
    cancel_running: bool
    walltime: bool
    notifies: bool
    may_run_twice: bool
    call_environment: bool
    output_files: bool
    controls: bool
    tasks: bool
    gpu_shares: bool
    gpu_memory: bool
    needs: bool
    repeatable_launch: bool

    def __init__(
        self,
        *,
        durable: bool = False,
        shared_files: bool = False,
        find: bool = False,
        logs: bool = False,
        cancel_running: bool = True,
        walltime: bool = True,
        notifies: bool = False,
        may_run_twice: bool = False,
        call_environment: bool = False,
        output_files: bool = False,
        controls: bool = False,
        tasks: bool = False,
        gpu_shares: bool = False,
        gpu_memory: bool = False,
        needs: bool = False,
        repeatable_launch: bool = False,
    ) -> None:
        super().__init__(
            durable=durable,
            shared_files=shared_files,
            find=find,
            logs=logs,
            cancel_running=cancel_running,
            walltime=walltime,
            notifies=notifies,
            may_run_twice=may_run_twice,
            call_environment=call_environment,
            output_files=output_files,
            controls=controls,
            tasks=tasks,
            gpu_shares=gpu_shares,
            gpu_memory=gpu_memory,
            needs=needs,
            repeatable_launch=repeatable_launch,
        )


class BaseBackend(ABC):
    """A place that runs work.

    Subclasses bring ``run``. A subclass that can find its own jobs again overrides
    ``retrieve_job``. Constructors do no network (qiskit-ibm-provider#555).

    Args:
        configuration: has ``backend_name``, ``backend_version`` and the options as attributes.
        provider: what this backend was got from, if anything.
    """

    capabilities: Capabilities = Capabilities()
    is_closed = False
    """Whether it was closed, where its class says so: a session then makes another one when asked."""
    options: t.Any = None
    """The options that its type, or that of its provider, declares, as they were configured; else None."""
    configured_name = ""
    """What the session that made it calls it: a configured name, ``PROVIDER/BACKEND``, or its type."""

    def __init__(self, configuration: t.Any, provider: t.Any = None) -> None:
        self._configuration = configuration
        self._provider = provider

    @classmethod
    def from_options(cls, name: str, options: t.Mapping[str, t.Any], provider: t.Any = None) -> t.Self:
        """Make a backend of this type: what the configuration of a session calls.

        Args:
            name: the configured name.
            options: what the configuration says of it, less ``type``.
            provider: what it belongs to, if anything.

        Returns:
            the backend, made by its constructor with a `BackendConfiguration` of the name and the options;
            with the options by name where the constructor's first parameter is not ``configuration``. Where
            the class has ``Options``, a msgspec struct, they are checked, and ``options`` of the backend.

        Raises:
            ConfigError: an option cannot be used, or one is missing.
        """
        from anyjob.config.construction import made_of_options

        made: t.Self = made_of_options(cls, "backend", BackendConfiguration, name, options, provider)
        return made

    @abstractmethod
    def run(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Hand over work.

        Args:
            args: the work, in the form that this type of backend takes.
            kwargs: how it is to be run.

        Returns:
            the job, or several: handles, as a rule a `BaseJob` each.

        Raises:
            SpecError: the work makes no sense.
            JobRejectedError: the engine would not take it.
            BackendError: the backend cannot take work now.
        """

    def name(self) -> str:
        """Return the name that the backend was configured with.

        Returns:
            its configuration's ``backend_name``.
        """
        return str(self._configuration.backend_name)

    def version(self) -> str:
        """Return the version of the backend.

        Returns:
            its configuration's ``backend_version``; empty where none is known.
        """
        return str(self._configuration.backend_version)

    def configuration(self) -> t.Any:
        """Return what the backend was configured with.

        Returns:
            an object with ``backend_name``, ``backend_version`` and the options as attributes.
        """
        return self._configuration

    def properties(self) -> t.Any:
        """Return measured properties of the backend.

        Returns:
            an object with the properties as attributes, or None where there are none.

        Raises:
            BackendError: they cannot be asked for now.
        """
        return None

    def provider(self) -> t.Any:
        """Return what this backend was got from.

        Returns:
            the provider, or None for a backend that stands alone.
        """
        return self._provider

    def status(self) -> t.Any:
        """Return what the backend says of itself now.

        Returns:
            a `BackendStatus`; by default one that says that it is operational.

        Raises:
            BackendError: it cannot be asked now.
        """
        return BackendStatus(self.name(), self.version())

    def retrieve_job(self, job_id: str) -> t.Any:
        """Return a handle on the job that the backend knows by this id.

        Args:
            job_id: the backend's own id of the job.

        Returns:
            the handle: a `BaseJob`, as a rule.

        Raises:
            BackendError: this type of backend cannot find its jobs again.
            JobNotFoundError: it can, and has no such job.
        """
        raise BackendError(
            f"backend {self.name()!r} ({type(self).__name__}) cannot find its jobs again: "
            "it does not override retrieve_job()"
        )

    def close(self) -> None:
        """Let go of what the backend holds. May be called twice."""

    def __str__(self) -> str:
        return self.name()

    def _repr_html_(self) -> str:
        """Return what a notebook shows: no options, of which some may be secret."""
        from anyjob.text.html_tables import card

        capable = getattr(self, "capabilities", None)
        can = capable.to_dict() if isinstance(capable, Capabilities) else {}
        known = {
            "backend": self.configured_name or self.name(),
            "type": type(self).__name__,
            "provider": "" if self._provider is None else str(self._provider),
            "accepts": ", ".join(sorted(getattr(self, "accepts", ()))),
            "can": ", ".join(name for name, value in can.items() if value),
        }
        return card(known)

    def __repr__(self) -> str:
        origin = f" from {self._provider}" if self._provider is not None else ""
        return f"<{type(self).__name__}({(self.configured_name or self.name())!r}){origin}>"
