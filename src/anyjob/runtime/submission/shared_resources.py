"""What the jobs of one call are given, each different thing of it made and checked once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from msgspec.structs import replace

from anyjob import _typing as t
from anyjob.resources import Resources
from anyjob.retry import fitting
from anyjob.runtime.capability_checks import check_resources
from anyjob.runtime.submission.launch import launch_key


class SharedResources:
    """The resources of the jobs of one call: those that are alike are one object, checked once.

    So are the options of a job, which follow from them.
    """

    def __init__(self, backend: t.TaskBackend) -> None:
        self._backend = backend
        self._asked: dict[int, tuple[Resources, Resources]] = {}  # as it came, and as it is
        self._options: dict[int, Any] = {}
        self._keys: dict[int, bytes] = {}  # of resources that differ in their names, perhaps
        self._amended: dict[bytes, Resources] = {}

    def of_each(self, resources: Resources | Sequence[Resources], count: int) -> list[Resources]:
        """Return what each of so many jobs has: what it leaves open is as its backend has it.

        Args:
            resources: what all ask for, or each.
            count: how many they are.

        Raises:
            SpecError: the backend cannot give that.
        """
        if isinstance(resources, Resources):
            return [self._asked_for(resources)] * count
        return [self._asked_for(each) for each in resources]

    def _asked_for(self, resources: Resources) -> Resources:
        found = self._asked.get(id(resources))
        if found is None:
            own, backend = resources, self._backend
            if own.retries is None and backend.retries is not None:
                own = replace(own, retries=fitting(backend.retries, own))
            self._options[id(own)] = backend.job_options(own)
            check_resources(backend, own)
            found = self._asked[id(resources)] = resources, own
        return found[1]

    def amended(self, resources: Resources) -> Resources:
        """Return the resources like these, which a plugin has made of those that a job asked for.

        Raises:
            SpecError: the backend cannot give that.
        """
        from anyjob.ledger.encoding import encode_resources

        check_resources(self._backend, resources)
        return self._amended.setdefault(encode_resources(resources), resources)

    def options(self, resources: Resources) -> Any:
        """Return the options of a job that is given these, which are of this object's making."""
        found = self._options.get(id(resources))
        if found is None:
            found = self._options[id(resources)] = self._backend.job_options(resources)
        return found

    def key(self, resources: Resources) -> Hashable:
        """Return what is the same of those that are launched together."""
        if not self._backend.mixes_names:
            return 0 if self._backend.mixes_resources else id(resources)
        found = self._keys.get(id(resources))
        if found is None:
            found = self._keys[id(resources)] = launch_key(self._backend, resources)
        return found
