"""Lists what is installed, with the hook plugins imported in a process of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from anyjob.cli.context import switched_on
from anyjob.registry.lookup import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyjob.registry.entry_points import Reference


def listing(registry: Registry, timeout: float) -> tuple[list[dict[str, str]], str]:
    """Return the lines of `Registry.listing`, without importing the hook plugins in this process.

    Args:
        registry: of ``sys.path``.
        timeout: seconds to wait for the hook plugins.

    Returns:
        the lines by name, and why what some hook plugins register is not among them; empty where it is.
    """
    hooks = registry.hook_plugins()
    if not hooks:
        return [line.to_dict() for line in registry.listing(hooks=False)], ""
    from anyjob.cli.plugins.isolated_process import run_isolated

    result = run_isolated("anyjob.cli.plugins.installed:lines", timeout=timeout)
    if result.value is not None:
        return result.value["lines"], ""
    ended = {
        each: why
        for each in hooks
        if (why := result.why if len(hooks) == 1 else _why_it_fails_alone(each, timeout))
    }
    without = json.dumps([_key(each) for each in ended])
    result = run_isolated("anyjob.cli.plugins.installed:lines", without, timeout=timeout)
    found = (
        result.value["lines"] if result.value else [line.to_dict() for line in registry.listing(hooks=False)]
    )
    return _mark_broken(found, ended), _warning(ended, result.why)


def lines(without: str = "[]") -> dict[str, Any]:
    """Return the lines of a registry; imports the hook plugins, but for some, given as JSON."""
    return {"lines": [line.to_dict() for line in _RegistryWithout(json.loads(without)).listing()]}


def load(only: str) -> bool:
    """Import one hook plugin, and have it register its names."""
    registry = Registry(**switched_on())
    _RegistryWithout(
        [key for each in registry.hook_plugins() if (key := _key(each)) != json.loads(only)]
    ).listing()
    return True


class _RegistryWithout(Registry):
    """A registry that leaves some hook plugins out."""

    def __init__(self, without: Sequence[Sequence[str]]) -> None:
        super().__init__(**switched_on())
        self._without = without

    def hook_plugins(self) -> list[Reference]:
        return [each for each in super().hook_plugins() if _key(each) not in self._without]


def _why_it_fails_alone(reference: Reference, timeout: float) -> str:
    """Say how the import of one hook plugin ends the process, or does not end; empty where it goes well."""
    from anyjob.cli.plugins.isolated_process import run_isolated

    return run_isolated("anyjob.cli.plugins.installed:load", json.dumps(_key(reference)), timeout=timeout).why


def _key(reference: Reference) -> list[str]:
    return [reference.distribution, reference.name, reference.value]


def _mark_broken(found: list[dict[str, str]], ended: dict[Reference, str]) -> list[dict[str, str]]:
    for line in found:
        for each, why in ended.items():
            if (line["group"], line["name"], line["location"]) == (each.group, each.name, each.location):
                line.update(state="broken", why=why)
    return found


def _warning(ended: dict[Reference, str], why: str) -> str:
    if why:  # together they do what none does alone
        return f"names that hook plugins register are left out, since {why}: see anyjob plugins check"
    return "; ".join(
        f"names that the hook plugin {each.name} of {each.source} registers are left out, since {why}: "
        "see anyjob plugins check"
        for each, why in ended.items()
    )
