"""What is set of a backend of this machine while it is in use, in place of what it is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from anyjob.builtin.local.machine.totals import totals
from anyjob.builtin.local.supervisor.jobs.capacity import Capacity, demand_of
from anyjob.config.options import validate_options
from anyjob.errors import ConfigError, SpecError
from anyjob.ledger.encoding import decode_resources
from anyjob.resources import tag_label
from anyjob.text.nearest import nearest
from anyjob.text.units import format_memory, parse_count

if TYPE_CHECKING:
    from anyjob.builtin.local.backend import LocalBackend

CHANGEABLE = ("slots", "memory", "resources", "limits")


def current(backend: LocalBackend) -> Any:
    """Return the options of a backend as they hold now."""
    return _with(backend, backend.set_now())


def change(backend: LocalBackend, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Write into the ledger what is to hold from now on; return all that is set.

    Raises:
        ConfigError: an option cannot be changed so, or not to that.
    """
    for name in changes:
        if name not in CHANGEABLE:
            near = nearest(name, CHANGEABLE)
            known = f"did you mean {near!r}?" if near else f"what can: {', '.join(CHANGEABLE)}"
            raise ConfigError(f"{name!r} cannot be set while {backend.name()!r} is in use; {known}")
    ledger, number = backend.services.ledger, _number(backend)
    merged = {**backend.set_now(), **changes}
    kept = {name: value for name, value in merged.items() if value is not None}
    options = _with(backend, kept)
    found = {name: getattr(options, name) for name in kept}
    _see_that_all_fit(backend, options)
    ledger.set_options(number, found)
    return found


def limit(
    backend: LocalBackend, name: str, most: int | None, tags: Mapping[str, str]
) -> tuple[Mapping[str, int], bool]:
    """Write how many jobs of a name, or with each of these tags, may run at a time; None: any number.

    Returns:
        all limits that there are now, and whether that changed any.

    Raises:
        SpecError: no name and no tag is given, or no count.
    """
    labels = [name] if name else []
    labels += [tag_label(key, value) for key, value in tags.items()]
    if not labels:
        raise SpecError("a limit is of the jobs of a name, or with a tag: none is given")
    if most is not None:
        most = parse_count(most, what="limit", minimum=0)
    now = backend.limits_now()
    if all(now.get(label) == most for label in labels):
        return now, False

    def write() -> Mapping[str, Any]:
        made = {key: value for key, value in backend.limits_now().items() if key not in labels}
        if most is not None:
            made.update(dict.fromkeys(labels, most))
        return change(backend, {"limits": made})

    backend.services.ledger.transaction(write)
    return backend.limits_now(), True


def _number(backend: LocalBackend) -> int:
    return int(backend.recorder.number)  # type: ignore[attr-defined]


def _with(backend: LocalBackend, settings: Mapping[str, Any]) -> Any:
    if not settings:
        return backend.options
    configured = msgspec.structs.asdict(backend.options)
    return validate_options(type(backend.options), {**configured, **settings}, where=backend.name())


def _see_that_all_fit(backend: LocalBackend, options: Any) -> None:
    """See to it that there is room for each job that waits: none is to fail for it.

    Raises:
        ConfigError: there would be none.
    """
    there = Capacity(totals(msgspec.structs.asdict(options)))
    for context in backend.services.ledger.queue.waiting_contexts(_number(backend)):
        resources = decode_resources(context.resources)
        short = there.shortage(demand_of(resources)._replace(gpus=0, gpu_memory=0))
        if short is not None:
            size = format_memory if short.name == "memory" else "{:g}".format
            called = f" (of {resources.name!r})" if resources.name else ""
            raise ConfigError(
                f"{backend.name()!r} cannot have {size(int(short.there))} {short.name} now: a job that waits"
                f"{called} asks for {size(int(short.asked))}; cancel it first (`anyjob jobs --state queued`)"
            )
