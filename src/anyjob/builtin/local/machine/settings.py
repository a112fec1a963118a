"""What is set of a backend of this machine while it is in use, in place of what it is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from anyjob.builtin.local.machine.totals import totals
from anyjob.builtin.local.supervisor.jobs.capacity import Capacity, demand_of
from anyjob.config.options import validate_options
from anyjob.errors import ConfigError, SpecError
from anyjob.ledger.encoding import decode_resources
from anyjob.ledger.store import Ledger
from anyjob.resources import tag_label
from anyjob.text.suggestions import nearest
from anyjob.text.units import format_memory, parse_count

CHANGEABLE = ("slots", "memory", "resources", "limits")


class Settings:
    """What is set of one backend.

    Args:
        ledger: where that is written.
        number: of the backend, in the ledger.
        name: its name, for messages.
        configured: its options.
    """

    def __init__(self, ledger: Ledger, number: int, name: str, configured: Any) -> None:
        self._ledger, self._number, self._name, self._configured = ledger, number, name, configured

    def changed(self) -> dict[str, Any]:
        """Return what is set in place of what is configured."""
        return self._ledger.settings(self._number)

    def current(self) -> Any:
        """Return the options as they hold now."""
        return self._with(self.changed())

    def limits(self) -> Mapping[str, int]:
        """Return how many jobs may run at a time, by name, or by ``tag:KEY=VALUE``."""
        found: Mapping[str, int] = self.changed().get("limits", self._configured.limits)
        return found

    def change(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Write into the ledger what is to hold from now on; return all that is set.

        Raises:
            ConfigError: an option cannot be changed so, or not to that.
        """
        for name in changes:
            if name not in CHANGEABLE:
                near = nearest(name, CHANGEABLE)
                known = f"did you mean {near!r}?" if near else f"what can: {', '.join(CHANGEABLE)}"
                raise ConfigError(f"{name!r} cannot be set while {self._name!r} is in use; {known}")
        merged = {**self.changed(), **changes}
        kept = {name: value for name, value in merged.items() if value is not None}
        options = self._with(kept)
        found = {name: getattr(options, name) for name in kept}
        self._see_that_all_fit(options)
        self._ledger.set_options(self._number, found)
        return found

    def limit(self, name: str, most: int | None, tags: Mapping[str, str]) -> bool:
        """Write how many jobs of a name, or with each of these tags, may run at a time; None: any number.

        Returns:
            whether that changed anything.

        Raises:
            SpecError: no name and no tag is given, or no count.
        """
        if not isinstance(name, str):
            raise SpecError(f"a limit is of the jobs of a name, which is text, not {name!r}")
        labels = [name] if name else []
        labels += [tag_label(key, value) for key, value in tags.items()]
        if not labels:
            raise SpecError("a limit is of the jobs of a name, or with a tag: none is given")
        if most is not None:
            most = parse_count(most, what="limit", minimum=0)
        now = self.limits()
        if all(now.get(label) == most for label in labels):
            return False

        def write() -> None:
            made = {key: value for key, value in self.limits().items() if key not in labels}
            if most is not None:
                made.update(dict.fromkeys(labels, most))
            self.change({"limits": made})

        self._ledger.transaction(write)
        return True

    def _with(self, settings: Mapping[str, Any]) -> Any:
        if not settings:
            return self._configured
        configured = msgspec.structs.asdict(self._configured)
        return validate_options(type(self._configured), {**configured, **settings}, where=self._name)

    def _see_that_all_fit(self, options: Any) -> None:
        """See to it that there is room for each job that waits: none is to fail for it.

        Raises:
            ConfigError: there would be none.
        """
        there = Capacity(totals(msgspec.structs.asdict(options)))
        for context in self._ledger.queue.waiting_contexts(self._number):
            resources = decode_resources(context.resources)
            short = there.shortage(demand_of(resources)._replace(gpus=0, gpu_memory=0))
            if short is not None:
                size = format_memory if short.name == "memory" else "{:g}".format
                called = f" (of {resources.name!r})" if resources.name else ""
                raise ConfigError(
                    f"{self._name!r} cannot have {size(int(short.there))} {short.name} now: a job that waits"
                    f"{called} asks for {size(int(short.asked))}; cancel it first "
                    "(`anyjob jobs --state queued`)"
                )
