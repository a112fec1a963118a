"""Whether the class behind a name can be made and used: what the interface asks of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from anyjob.backend import BaseBackend, Capabilities
from anyjob.config.construction import takes_configuration
from anyjob.errors import SpecError
from anyjob.provider import BaseProvider
from anyjob.registry.entry_points import BACKENDS, JOB_TYPES, PROVIDERS
from anyjob.registry.lookup import Registry
from anyjob.specs import Spec, kind_of
from anyjob.taskbackend import TaskBackend
from anyjob.taskjob import TaskJob
from anyjob.testing.diagnosis.fields import check_fields, check_options
from anyjob.testing.diagnosis.findings import Finding, location_of


def check_class(group: str, name: str, found: Any) -> Iterator[Finding]:
    """Yield what is wrong with what a name answers with.

    Args:
        group: the entry-point group.
        name: the name.
        found: the class, or the command; of the right kind for its group.
    """
    checks: dict[str, Callable[[str, Any], Iterator[Finding]]] = {
        BACKENDS: _check_backend,
        PROVIDERS: _check_provider,
        JOB_TYPES: _check_job_type,
    }
    yield from checks.get(group, _check_command)(name, found)


def _check_backend(name: str, found: type[BaseBackend]) -> Iterator[Finding]:
    yield from _check_constructible(found, BaseBackend)
    if not isinstance(found.capabilities, (Capabilities, property)):  # which may depend on the options
        yield _wrong_declaration(found, "capabilities", found.capabilities, "an anyjob.Capabilities(...)")
    if issubclass(found, TaskBackend):
        yield from _check_private_names(found)
        yield from _check_accepts(found)
    if hasattr(found, "Options"):
        yield from check_options(found.Options, found)


def _check_provider(name: str, found: type[BaseProvider]) -> Iterator[Finding]:
    yield from _check_constructible(found, BaseProvider)
    if hasattr(found, "Options"):
        yield from check_options(found.Options, found)
    if found.BackendOptions is not None:
        yield from check_options(found.BackendOptions, found, "BackendOptions")


def _check_private_names(found: type[TaskBackend]) -> Iterator[Finding]:
    """Yield the names that a plugin has given to something of its own, and that are the core's already."""
    for base in found.__mro__[: found.__mro__.index(TaskBackend)]:
        if base.__module__.startswith("anyjob."):
            continue
        for name in vars(base):
            if name.startswith("_") and not name.startswith(("__", "_abc_")) and hasattr(TaskBackend, name):
                message = f"{base.__qualname__}.{name} replaces what TaskBackend itself uses under this name"
                hint = "have the authors call it otherwise"
                yield Finding("private", message, hint, location_of(vars(base)[name]))


def _check_accepts(found: type[TaskBackend]) -> Iterator[Finding]:
    accepts = found.accepts
    if isinstance(accepts, property):
        return
    if not isinstance(accepts, (frozenset, set)) or not accepts:
        yield _wrong_declaration(
            found, "accepts", accepts, 'the kinds that it runs, such as frozenset({"command"})'
        )
        return
    yield from _check_kinds(found, "accepts", accepts)


def _check_kinds(found: type, attribute: str, kinds: Any) -> Iterator[Finding]:
    registry = Registry()
    unknown = [kind for kind in sorted(map(str, kinds)) if registry.origin(JOB_TYPES, kind) is None]
    if unknown:
        message = (
            f"{found.__qualname__}.{attribute} names {', '.join(map(repr, unknown))}, which nobody brings"
        )
        hint = "install what brings it; or, for a kind of its own, have the authors register a job type"
        yield Finding("kind", message, hint, location_of(found))


def _check_job_type(name: str, found: Any) -> Iterator[Finding]:
    yield from _check_abstract(found)
    if not issubclass(found, TaskJob):
        return
    spec_type = getattr(found, "spec_type", None)
    if not (isinstance(spec_type, type) and issubclass(spec_type, Spec)):
        yield _wrong_declaration(found, "spec_type", spec_type, "a subclass of anyjob.Spec")
        return
    try:
        kind = kind_of(spec_type)
    except SpecError as error:
        yield Finding("tag", str(error), "have the authors declare the tag", location_of(spec_type))
        return
    if kind != name:
        message = (
            f"{spec_type.__qualname__} is of the kind {kind!r}, and its job type is registered as {name!r}"
        )
        yield Finding("tag", message, "have the authors call both by one name", location_of(spec_type))
    yield from check_fields(spec_type, "field")
    yield from _check_flags(name, spec_type)
    yield from _check_lowering(found)


def _check_lowering(found: type[TaskJob]) -> Iterator[Finding]:
    if not isinstance(found.lowers_to, (tuple, list)):
        yield _wrong_declaration(found, "lowers_to", found.lowers_to, 'a tuple of kinds, such as ("python",)')
        return
    yield from _check_kinds(found, "lowers_to", found.lowers_to)
    if found.lowers_to and _function(found.lower) is _function(TaskJob.lower):
        message = (
            f"{found.__qualname__} says that it lowers to {', '.join(found.lowers_to)}, and has no lower()"
        )
        yield Finding("abstract", message, "have the authors write it", location_of(found))


def _check_flags(name: str, spec_type: type[Spec]) -> Iterator[Finding]:
    from anyjob.cli.run.arguments import RunCommand
    from anyjob.cli.run.command import run
    from anyjob.cli.run.spec_options import field_parameters

    assert isinstance(run, RunCommand)
    try:
        fields = field_parameters(spec_type, [*run.reserved_flags(), "-h", "--help"])
    except Exception:  # of types that nothing can be made of, which is told already
        return
    for field in fields:
        other = next((flag for flag in field.parameter.opts if flag.startswith("--spec-")), None)
        if other is not None and not field.name.startswith("spec_"):
            message = (
                f"the field {field.name!r} of {spec_type.__qualname__} is given as {other} on the command "
                f"line, since `anyjob run` has a --{field.name.replace('_', '-')} of its own"
            )
            yield Finding("flag", message, "have the authors rename the field", location_of(spec_type))


def _check_command(name: str, found: Any) -> Iterator[Finding]:
    if not (found.help or found.short_help):
        message = f"`anyjob {name} --help` does not say what the command is for"
        hint = "have the authors give its function a docstring"
        yield Finding("undocumented", message, hint, location_of(found.callback or found))


def _check_constructible(found: Any, base: Any) -> Iterator[Finding]:
    """What keeps a session from making one: abstract methods, or a constructor that wants something else."""
    yield from _check_abstract(found)
    if not inspect.ismethod(found.from_options):
        message = f"{found.__qualname__}.from_options is no classmethod"
        yield Finding(
            "constructor", message, "have the authors mark it with @classmethod", location_of(found)
        )
        return
    function = _function(found.from_options)
    if function is _function(TaskBackend.from_options):
        positional, keywords = (None, None), {"options": None}
    elif function is _function(base.from_options):
        positional, keywords = (None, None), {}
        if not takes_configuration(found):
            yield from _check_first_parameter(found)
            return
    else:
        yield from _check_signature(found, found.from_options, ("", {}), {"provider": None}, "from_options")
        return
    yield from _check_signature(found, found, positional, keywords, "the constructor")


def _check_first_parameter(found: Any) -> Iterator[Finding]:
    """What is called almost ``configuration`` wants one, and would get an option of its name."""
    first = next(iter(inspect.signature(found).parameters), "")
    if first.lower().lstrip("_").startswith("conf"):
        message = (
            f"the constructor of {found.__qualname__} takes {first!r} first: only one whose first parameter "
            "is 'configuration' is given the configuration; others are given the options by their names"
        )
        hint = "have the authors call it 'configuration', or override from_options"
        yield Finding("constructor", message, hint, location_of(found.__init__))


def _check_signature(
    found: Any, function: Any, positional: tuple[Any, ...], keywords: dict[str, Any], name: str
) -> Iterator[Finding]:
    try:
        inspect.signature(function).bind(*positional, **keywords)
    except TypeError as error:
        wanted = (
            "(name, options, provider=None)"
            if name == "from_options"
            else (
                "(configuration, provider=None, *, options=None)" if keywords else "(configuration, provider)"
            )
        )
        message = f"{name} of {found.__qualname__} is called with {wanted}, and takes something else: {error}"
        hint = "have the authors accept these, or override from_options, which may make it in any way"
        yield Finding(
            "constructor", message, hint, location_of(found.__init__ if function is found else function)
        )
    except ValueError:  # built in, so that nothing is known of it
        return


def _check_abstract(found: Any) -> Iterator[Finding]:
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        message = (
            f"{found.__qualname__} cannot be made: it lacks {', '.join(f'{each}()' for each in missing)}"
        )
        yield Finding("abstract", message, "have the authors write what is missing", location_of(found))


def _wrong_declaration(found: Any, attribute: str, value: Any, expected: str) -> Finding:
    message = f"{found.__qualname__}.{attribute} is {value!r:.80}, and should be {expected}"
    return Finding("declaration", message, "have the authors mend it", location_of(found))


def _function(method: Any) -> Any:
    return getattr(method, "__func__", method)
