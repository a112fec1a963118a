"""The conformance kit: what a plugin's author subclasses, to have it tested against what anyjob promises.

Needs the extra ``anyjob[testing]``. See docs/how-to/test-your-plugin.md.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob.testing.backends import BackendConformance, TaskBackendConformance
    from anyjob.testing.harness.backend import BackendHarness
    from anyjob.testing.harness.samples import Samples
    from anyjob.testing.jobtypes import JobTypeConformance
    from anyjob.testing.plugins import PluginConformance
    from anyjob.testing.providers import ProviderConformance

__all__ = [
    "BackendConformance",
    "JobTypeConformance",
    "BackendHarness",
    "PluginConformance",
    "ProviderConformance",
    "Samples",
    "TaskBackendConformance",
]

_HOMES = {
    "BackendConformance": "backends",
    "JobTypeConformance": "jobtypes",
    "BackendHarness": "harness.backend",
    "PluginConformance": "plugins",
    "ProviderConformance": "providers",
    "Samples": "harness.samples",
    "TaskBackendConformance": "backends",
}


def __getattr__(name: str) -> object:
    # Lazy, so that the live check of a backend (`anyjob.testing.live`) does without pytest.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found
