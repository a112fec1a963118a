"""Configuration, plugins and backends: what may hang or end the process is asked in one of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from anyjob.cli.context import registry
from anyjob.cli.doctor.findings import OK, PROBLEM, WARNING, Finding
from anyjob.cli.plugins.installed import listing
from anyjob.cli.plugins.isolated_process import run_isolated
from anyjob.config.settings import Config
from anyjob.errors import AnyjobError, ConfigError

_HERE = "anyjob.cli.doctor.installation"


def configuration(timeout: float) -> Iterator[Finding]:
    """Yield where the configuration comes from, and what is wrong with it; no value of an option is told."""
    for name in sorted(name for name in os.environ if name.startswith("ANYJOB_")):
        # Those of options may be secrets, and of one that is not ours nobody knows what it holds.
        value = os.environ[name] if "__" not in name and name in _PLAIN else "set"
        yield Finding("configuration", name, value)
    try:
        config = Config.load()
    except ConfigError as error:
        yield Finding("configuration", "files", str(error), PROBLEM, "mend that file")
        return
    for layer in config.layers():
        if layer.file is not None:
            read = "read" if layer.found else "not there"
            yield Finding(
                "configuration",
                layer.name,
                f"{layer.file}: {read}" + (f", {layer.note}" if layer.note else ""),
            )
    for name, entry in {**config.backends, **config.providers}.items():
        yield Finding("configuration", name, f"of type {entry.type} ({entry.origins['']})")
    checked = run_isolated(f"{_HERE}:problems", timeout=timeout)
    for problem in checked.value or ():
        yield Finding("configuration", "check", problem, PROBLEM, "anyjob config check")
    if checked.why:
        yield Finding("configuration", "check", checked.why, PROBLEM, "anyjob plugins check")


_PLAIN = frozenset({
    "ANYJOB_STATE", "ANYJOB_CONFIG", "ANYJOB_BACKEND", "ANYJOB_HOST", "ANYJOB_STRICT_PLUGINS",
    "ANYJOB_DISABLE_PLUGINS", "ANYJOB_ONLY_PLUGINS",
})  # fmt: skip
"""Variables whose values are told."""


def problems() -> list[str]:
    """Return what is wrong with the configuration; imports the plugins of what is configured."""
    from anyjob.session.default import default_session

    return default_session().check()


def plugins(timeout: float) -> Iterator[Finding]:
    """Yield which distributions bring what, as their metadata tells; hook plugins are imported elsewhere."""
    lines, missing = listing(registry(), timeout)
    if missing:
        yield Finding("plugins", "hooks", missing, PROBLEM, "anyjob plugins check")
    brought: dict[str, list[str]] = {}
    for line in lines:
        by = f"{line['distribution']} {line['version']}"
        brought.setdefault(by, [])
        if line["state"] == "ok":
            brought[by].append(line["name"])
        else:
            told = f"{line['name']} ({line['group']}) is {line['state']}: {line['why']}"
            bad = line["state"] not in ("blocked", "shadowed")
            yield Finding("plugins", by, told, WARNING if bad else OK, "anyjob plugins check" if bad else "")
    for by, names in sorted(brought.items()):
        yield Finding("plugins", by, ", ".join(sorted(set(names))))


def backends(timeout: float) -> Iterator[Finding]:
    """Yield what each configured backend and the default one say of themselves; all are asked at once."""
    try:
        config = Config.load()
    except ConfigError:
        return  # it was told
    names = list(dict.fromkeys([config.default_backend or "local", *config.backends]))
    with ThreadPoolExecutor(max_workers=min(8, len(names))) as pool:
        for name, found in zip(names, pool.map(lambda name: _ask(name, timeout), names), strict=True):
            default = " (default)" if name == names[0] else ""
            yield found._replace(what=f"{name}{default}")


def _ask(name: str, timeout: float) -> Finding:
    result = run_isolated(f"{_HERE}:ask", name, timeout=timeout)
    if result.value is None:
        why = result.why.replace("its import", "asking it")
        more = "with more time: anyjob doctor --timeout 1m; or " if result.state == "hangs" else ""
        return Finding("backends", name, why, PROBLEM, f"{more}anyjob backends check {name}")
    state, told = result.value
    return Finding("backends", name, told, state, f"anyjob backends check {name}" if state else "")


def ask(name: str) -> list[str]:
    """Return whether a backend can be reached, and what it says of itself; runs no job."""
    from anyjob.backend import BaseBackend
    from anyjob.session.default import default_session

    try:
        backend: Any = default_session().get_backend(name)
        status = backend.status()
    except AnyjobError as error:
        return [PROBLEM, str(error)]
    except Exception as error:  # of a plugin: it is what the doctor was asked for
        return [PROBLEM, f"{type(error).__name__}: {error}"]
    told = [f"version {status.backend_version}"] if status.backend_version else []
    if status.status_msg:
        told.append(status.status_msg)
    if type(backend).status is BaseBackend.status:
        return [OK, ", ".join([*told, "can be made; it cannot be asked more"])]
    told.append(f"{status.pending_jobs} jobs pending")
    return (
        [OK, f"reached: {', '.join(told)}"]
        if status.operational
        else [WARNING, f"not operational: {', '.join(told)}"]
    )
