"""The hooks: what a plugin may do beyond bringing names.

A distribution names a module (or an object) of its own under the entry-point group ``anyjob.plugins``,
and defines any of these functions in it::

    # pyproject.toml
    [project.entry-points."anyjob.plugins"]
    acme = "anyjob_acme.hooks"

    # anyjob_acme/hooks.py
    from anyjob import hookimpl

    @hookimpl
    def anyjob_finished(job, outcome):
        print(job.job_id(), "has ended")

A function whose name begins with ``anyjob_`` is taken as an implementation, with or without the marker;
the marker takes pluggy's options (``@hookimpl(tryfirst=True)``). An implementation asks for as many of
the arguments as it needs, by their names. A name that is none of these, or an argument that the hook
does not have, is an error that names the nearest one, and leaves the plugin out; an argument with a
default, or by its name only, is one that names the way out.

Hook modules are imported on the first call of any hook, in the process that submits and watches; the
background processes of anyjob load none. Keep them light: import an engine's SDK where it is needed,
not at the top. An implementation that raises is reported in the log ``anyjob.plugins``, once, and the
rest go on; with ``ANYJOB_STRICT_PLUGINS=1`` it raises. Where several plugins implement a hook, the last
one registered is called first, in the order of pluggy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyjob.job import BaseJob
    from anyjob.status import JobStatus

PROJECT = "anyjob"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Names(Protocol):
    """What takes names in: an `anyjob.Registry`."""

    def register_backend(self, name: str, cls: type[Any]) -> None:
        """Have a type of backend answer to a name."""

    def register_job_type(self, name: str, cls: type[Any]) -> None:
        """Have a job type answer to a name."""

    def register_provider(self, name: str, cls: type[Any]) -> None:
        """Have a type of provider answer to a name."""


class Amended:
    """What ``anyjob_before_submit`` returns to change what a job is given, and say so.

    ::

        return Amended("an hour, since none was asked for", walltime="1h", tags={"project": "sun"})

    Who submits is told: by the logger ``anyjob.plugins`` as information, on the command line, and by
    `anyjob show`. It stays with the job, in ``job.notes()["anyjob.amended"]``.

    Args:
        why: the reason, for a person.
        notes: text by name that is to be kept with the job.
        resources: what takes the place of what was asked for, as keywords of ``run``; ``tags`` and
            ``options`` are added to those that there are.

    Raises:
        SpecError: one of these is no resource, or makes no sense.
    """

    def __init__(self, why: str, /, *, notes: Mapping[str, str] | None = None, **resources: Any) -> None:
        from anyjob.resources import make_resources

        self.why = why
        self.notes = {} if notes is None else notes
        self._given = resources
        self._resources = make_resources(resources)

    def of(self, asked: Any) -> Any:
        """Return what a job is given, of what was asked for."""
        from msgspec.structs import asdict, replace

        made = {name: value for name, value in asdict(self._resources).items() if name in self._given}
        if "tags" in made:
            made["tags"] = {**asked.tags, **made["tags"]}
        if "options" in made:
            engines = made["options"].items()
            made["options"] = asked.options | {
                engine: {**asked.options.get(engine, {}), **options} for engine, options in engines
            }
        return replace(asked, **made)

    def __str__(self) -> str:
        return f"{', '.join(f'{name}={value!r}' for name, value in self._given.items())}: {self.why}"


@hookspec
def anyjob_register(registry: Names) -> None:
    """Register names that metadata cannot know: a configured account's devices, classes made at run time.

    When: a name is asked for that no entry point answers to, and when names are listed; once a
    registry, and again after ``registry.refresh()``. A name that an entry point answers to is never
    taken from it.
    Where: in the thread that asks, which waits. Do no network.
    Returns: nothing; call ``registry.register_backend(name, cls)``, ``register_job_type`` or
    ``register_provider``.

    Example::

        @hookimpl
        def anyjob_register(registry):
            for device in configured_devices():
                registry.register_backend(f"acme.{device}", backend_class(device))
    """


@hookspec(historic=True)
def anyjob_configure(config: Any) -> None:
    """Take what a plugin needs from the configuration.

    When: a session has read its configuration; for a plugin that is loaded later, when it is loaded
    (the hook is historic).
    Where: in the thread that makes the session or loads the plugins.
    Returns: nothing.

    Args of note: ``config`` is the `Config` of the session; leave it as it is.

    Example::

        @hookimpl
        def anyjob_configure(config):
            if config.default_backend == "acme":
                connect_early()
    """


@hookspec(firstresult=True)
def anyjob_choose_backend(session: Any, spec: Any, candidates: Sequence[str]) -> str | None:
    """Choose where work runs that named no backend.

    When: ``run`` was called without a backend, before the default is taken.
    Where: in the thread that submits.
    Sees: the ``spec`` as it will run, with the contents of its files.
    Returns: one of the ``candidates`` (names of configured backends), or None to leave it to the next
    plugin and, in the end, to the default. The first answer that is not None counts.

    Example::

        @hookimpl
        def anyjob_choose_backend(spec, candidates):
            if "hpc" in candidates and isinstance(spec, Training):
                return "hpc"
    """


@hookspec
def anyjob_before_submit(
    session: Any, backend: Any, job_id: str, spec: Any, resources: Any
) -> Mapping[str, str] | Amended | None:
    """Look at work before it is submitted; raise `anyjob.Refused` to keep it from being so.

    When: once a job, before it is written down and before its engine hears of it.
    Where: in the thread that submits.
    Sees: the ``spec`` as it will run, with the contents of its files; the ``resources`` as the plugins
    that were called before have amended them.
    Returns: None; or text by name that is to be kept with the job as long as it is known: it is had
    again from ``job.notes()``, in any process that finds the job. Put your plugin's name into the names;
    keep no secrets there. Or `anyjob.Amended`, with what the job is given in place of what was asked for.
    `Refused` is the one exception that passes through: ``run`` raises it, and its message, with the name of
    the plugin, is what the user sees. Any other is reported, and the work goes on.

    Of a plain job (one that is no `TaskJob`) ``job_id`` is empty, ``spec`` is the first argument of
    ``run``, and what is returned is not kept.

    Example::

        @hookimpl
        def anyjob_before_submit(resources):
            if resources.gpus and "project" not in resources.tags:
                raise anyjob.Refused('GPUs need a project: add tags={"project": "…"}')
            if resources.walltime is None:
                return anyjob.Amended("an hour, since none was asked for", walltime="1h")
            return {"acme.cost_centre": "4711"}
    """


@hookspec
def anyjob_job_environment(session: Any, backend: Any, job_id: str, spec: Any) -> Mapping[str, str] | None:
    """Give the job environment variables.

    When: once a job, when it is submitted: right after ``anyjob_before_submit``, in the same thread. Not
    for plain jobs, whose environment is their backend's own affair.
    Where: in the thread that submits.
    Returns: variables and their values, or None for none. Where several plugins give the same
    variable, the one that is called last wins.

    A call that runs in a thread of the process that submits (of a backend ``inline`` or ``threads``)
    shares the environment of that process; what it was given is had from `anyjob.sdk.job_environment`.

    Example::

        @hookimpl
        def anyjob_job_environment(job_id):
            return {"ACME_TRACE": job_id}
    """


@hookspec
def anyjob_submitted(job: BaseJob) -> None:
    """Hear of a job that was submitted.

    When: its engine has taken it, and before ``run`` returns; only in the process that submits.
    Where: in the thread that submits: be quick.
    Returns: nothing.

    Example::

        @hookimpl
        def anyjob_submitted(job):
            log.info("submitted %s", job.job_id())
    """


@hookspec
def anyjob_status_changed(job: BaseJob, old: JobStatus | None, new: JobStatus) -> None:
    """Hear of a change of a job's status.

    When: once a change in each session that watches the job; ``old`` is None where nothing was known
    before. Statuses that come and go between two queries are not seen.
    Where: in the thread that notices, which is that of the watcher, or one that submits or asks: be quick,
    others wait.
    Returns: nothing.

    Example::

        @hookimpl
        def anyjob_status_changed(job, old, new):
            gauge.set(job.job_id(), new.name)
    """


@hookspec
def anyjob_finished(job: BaseJob, outcome: Any) -> None:
    """Hear that a job has ended, in whichever way.

    When: once a job, in the session that first learns of it. A job that ends while nobody watches is
    told by the next session that looks.
    Where: in the thread that notices, which is that of the watcher, or one that submits or asks: be quick,
    others wait.
    Returns: nothing.

    Args of note: ``outcome`` says how it ended (status, exit code, reason); the result itself is had
    from ``job.result()``.

    Example::

        @hookimpl
        def anyjob_finished(job, outcome):
            notify(f"{job.job_id()} is {outcome.status.name}")
    """
