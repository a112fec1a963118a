"""Whether a plugin's hooks are ones: their names, arguments and markers; and what it registers by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anyjob.errors import PluginError
from anyjob.registry.entry_points import BACKENDS, JOB_TYPES, PROVIDERS, Reference
from anyjob.registry.hooks import HookManager, check_implementation, implementations
from anyjob.registry.lookup import Registry
from anyjob.testing.diagnosis.findings import Finding, location_of


def check_hooks(reference: Reference, plugin: Any) -> Iterator[Finding]:
    """Yield what is wrong with the implementations in a plugin, each with its place.

    Args:
        reference: the entry point.
        plugin: what it loads.
    """
    wrong = False
    for name, function, options in implementations(plugin):
        try:
            check_implementation(reference, options.get("specname") or name, function, options)
        except PluginError as error:
            wrong = True
            hint = "have the authors call it by the hook's name and arguments: see the reference of hooks"
            yield Finding("hook", str(error), hint, location_of(function))
            continue
        if not options:
            message = f"{name} is taken for a hook by its name alone"
            yield Finding(
                "unmarked", message, "have the authors mark it with @anyjob.hookimpl", location_of(function)
            )
    if wrong:
        return
    try:
        HookManager([reference], strict=True).implements("")
    except PluginError as error:
        hint = "have the authors name a module, or an object, that implements a hook"
        yield Finding("hook", str(error), hint, location_of(plugin))


def registered_names(reference: Reference) -> tuple[list[tuple[str, str, Any]], list[Finding]]:
    """Have a plugin register its names, as a listing does; return group, name and class, and what was wrong.

    Args:
        reference: the entry point of a plugin whose hooks are right.
    """
    registry = Registry()
    try:
        HookManager([reference], strict=True).call("anyjob_register", registry=registry)
    except PluginError as error:
        cause = error.__cause__
        hint = "tell its authors; the other plugins are not disturbed"
        return [], [Finding("register", str(error), hint, location_of_error(cause, reference.module))]
    look = {BACKENDS: registry.backend, JOB_TYPES: registry.job_type, PROVIDERS: registry.provider}
    names = [line for line in registry.listing(hooks=False) if not line.distribution]
    return [(line.group, line.name, look[line.group](line.name)) for line in names], []


def location_of_error(error: BaseException | None, module: str) -> str:
    """Return where in a plugin something was raised, as ``module:line``; the module where that is all."""
    package = module.partition(".")[0]
    location = module
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{error.filename}:{error.lineno}"
    traceback = None if error is None else error.__traceback__
    while traceback is not None:
        name = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] == package:
            location = f"{name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return location
